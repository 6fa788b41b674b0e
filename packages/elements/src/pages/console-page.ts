/** The common parts of the console pages: the bar with name, state and tools, panels, copying and full screen. */
import { resumableUrl } from '../address.ts'
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleEventMap, ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/pages.ts'
import { loadPart, once, PartNotLoaded } from '../load-part.ts'
import type { TicketStore } from '../resumption.ts'
import { offerArrowKeys } from '../roving-focus.ts'
import { byId, onClick, setText } from './dom.ts'
import type { PageQuery } from './page-query.ts'
import type { Fact } from './session-panel.ts'

export { onClick, onSubmit } from './dom.ts'

/** Copies `text` to the user's clipboard. Returns `false` if the browser does not allow that. */
export const copy = async (text: string): Promise<boolean> =>
  (await loadPart(() => import('../clipboard.ts'))).copyText(text)

/** Saves `content` in the downloads of the user. The time of now precedes the suffix of `name`. */
export function saveFile(content: Blob, name: string): void {
  const url = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = url
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  link.download = name.replace(/\.\w+$/, (suffix) => ` ${time}${suffix}`)
  link.click()
  URL.revokeObjectURL(url)
}

/** The name in the bar, such as for a file. */
export const machineName = () => byId('name', HTMLElement).textContent

type Console = ConsoleElement<ConsoleSession>

/** Opens the console. The page's own address is the access URL. In a frame, the page around it may follow and drive the console. */
export function dial(screen: Console, query: PageQuery): void {
  screen.viewOnly = query.viewOnly
  screen.reconnect = query.reconnect
  screen.ticketStore = ticketStoreOf(window)
  // Until the page can come back without its token, the token stays in the address, so that a reload opens the console again.
  screen.addEventListener('resumable', (event) => {
    const { detail } = event as ConsoleEventMap['resumable']
    history.replaceState(history.state, '', resumableUrl(location.href, detail.handle))
  })
  if (parent !== window)
    loadNow(screen, async () => (await loadPart(() => import('../frame/serve.ts'))).serveFrame(screen, window))
  screen.url = location.href
}

/** Browsers send the cookies of this host only from its own pages, so not from frames in the pages of others. */
const ticketStoreOf = ({ location, parent, self, navigator }: Window): TicketStore =>
  location.protocol === 'https:' && parent === (self as Window) && navigator.cookieEnabled ? 'cookie' : 'tab'

/** Shows the machine's name from the page's URL. The returned function sets the name if the URL has none. */
export function showName({ name, detail }: PageQuery): (name: string) => void {
  const show = (shown: string) => {
    setText(byId('name', HTMLElement), shown || t('console'))
    document.title = shown === '' ? t('console') : t('title.machine', { name: shown })
  }
  show(name)
  setText(byId('detail', HTMLElement), detail)
  return (reportedName) => {
    if (name === '') show(reportedName)
  }
}

/**
 * Shows the state in the bar. Enables the buttons with `data-needs` while connected; those with `data-needs="keys"` only while
 * the session has control and the page is not view-only. Waits for the role of the session, so that a watcher never sees
 * anything else.
 */
export function followState(screen: Console): void {
  const follow = () => {
    const status = byId('status', HTMLElement)
    status.dataset.state = screen.state
    // The card over the screen announces the other states.
    status.ariaLive = screen.state === 'connected' && !screen.presencePending ? 'polite' : 'off'
    setText(byId('status-text', HTMLElement), sentenceOf(screen))
    for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-needs]')) {
      const lacksKeys = screen.viewOnly || screen.presencePending || !screen.hasControl
      button.disabled = screen.state !== 'connected' || (button.dataset.needs === 'keys' && lacksKeys)
    }
  }
  screen.addEventListener('statechange', follow)
  screen.addEventListener('presence', follow)
  new MutationObserver(follow).observe(screen, { attributeFilter: ['view-only'] })
  const takeFocus = () => {
    if (screen.state === 'connected' && mayTakeFocus(screen)) screen.focus({ preventScroll: true })
  }
  screen.addEventListener('connect', takeFocus)
  // A tab or frame may get the focus after its console has connected.
  window.addEventListener('focus', takeFocus)
  // After the chord that leaves the console no element has the focus; Tab should go on from the tools.
  screen.addEventListener('release', () => firstTool()?.focus())
  follow()
  offerArrowKeys(byId('tools', HTMLElement))
  loadAt(screen, 'connect', async () => (await loadPart(() => import('./missing-part.ts'))).tellOfMissingParts())
  loadAt(document, 'focusin', async () => (await loadPart(() => import('./keyboard-help.ts'))).followFocus(screen))
}

function sentenceOf(screen: Console): string {
  if (screen.state === 'waiting' && screen.lastEnd?.reason === 'switched_off') return t('state.off')
  if (screen.state !== 'connected') return t(`state.${screen.state}`)
  if (screen.presencePending) return t('state.connecting')
  if (!screen.hasControl) return t('state.watching')
  return t(screen.viewOnly ? 'state.view-only' : 'state.connected')
}

/**
 * Whether the keyboard is free: this document has the focus, and no panel or other element in it has. A page in a frame would
 * take the keyboard from the page around it, whose user may be typing there.
 */
function mayTakeFocus(screen: Console): boolean {
  const { activeElement } = document
  const isFree = activeElement === null || activeElement === document.body || screen.contains(activeElement)
  return document.hasFocus() && isFree && document.querySelector('.panel:popover-open') === null
}

/** Makes the scale button switch between the actual size and the scale mode `fitted`. */
export function offerScale<S extends string>(screen: Console & { scale: S | 'none' }, fitted: S): void {
  const button = byId('scale', HTMLButtonElement)
  const show = () => button.setAttribute('aria-pressed', String(screen.scale === 'none'))
  button.addEventListener('click', ({ detail }) => {
    screen.scale = screen.scale === 'none' ? fitted : 'none'
    show()
    // The keyboard stays at the button, so that a screen reader says its state.
    if (detail > 0) screen.focus()
  })
  screen.addEventListener('statechange', show)
}

/** Loads the people panel after the console, which should not wait for it. */
export function offerPeopleOnceConnected(screen: Console): void {
  loadAt(screen, 'connect', async () => (await loadPart(() => import('./people.ts'))).offerPeople(screen))
}

/** Loads a part now. If that fails, tries again once the console is connected. */
export function loadNow(screen: Console, load: () => Promise<void>): void {
  load().catch(() => loadAt(screen, 'connect', load))
}

/** Loads a part at an event for which the user does not expect anything. If that fails, tries again at the next one. */
function loadAt(target: EventTarget, type: string, load: () => Promise<void>): void {
  const attempt = () =>
    load().catch((error: unknown) => {
      loadAt(target, type, load)
      if (!(error instanceof PartNotLoaded)) throw error
    })
  target.addEventListener(type, attempt, { once: true })
}

/** Loads the code of a panel when the panel is opened. Without its code the panel would do nothing, so it is closed. */
export function onFirstOpen(panelId: string, load: () => Promise<void>): void {
  const panel = byId(panelId, HTMLElement)
  const loaded = once(load)
  panel.addEventListener('beforetoggle', ({ newState }) => {
    if (newState !== 'open') return
    loaded().catch((error: unknown) => {
      panel.hidePopover()
      throw error
    })
  })
}

/** Offers the panel of the session. `facts` returns those that only this kind of console has, each with its name. */
export function offerSession(screen: Console, facts: () => readonly Fact[]): void {
  let connectedAt: Date | undefined
  screen.addEventListener('connect', () => {
    connectedAt = new Date()
  })
  onFirstOpen('session-panel', async () => {
    const { showSession } = await loadPart(() => import('./session-panel.ts'))
    showSession(screen, () => ({ state: sentenceOf(screen), connectedAt, facts: facts() }))
  })
}

/** Shows the page, with its bar, in full screen. The bar slides out of the way until it is needed. */
export function offerFullScreen(screen: Console): void {
  const button = byId('full-screen', HTMLButtonElement)
  button.hidden = !document.fullscreenEnabled
  button.addEventListener('click', () =>
    document.fullscreenElement === null ? enterFullScreen(screen) : document.exitFullscreen(),
  )
  document.addEventListener('fullscreenchange', () => {
    const isFull = document.fullscreenElement !== null
    button.setAttribute('aria-pressed', String(isFull))
    if (!isFull) keyboard()?.unlock?.()
  })
  onClick('bar-handle', () => firstTool()?.focus())
}

async function enterFullScreen(screen: Console): Promise<void> {
  await document.documentElement.requestFullscreen({ navigationUI: 'hide' })
  screen.focus()
  // Lets Escape and Ctrl+W reach the machine; holding Escape leaves full screen. Not all browsers support this.
  await keyboard()?.lock?.()
}

const firstTool = () => document.querySelector<HTMLButtonElement>('.tool:not(:disabled)')

const keyboard = () => (navigator as { keyboard?: { lock?: () => Promise<void>; unlock?: () => void } }).keyboard

/** Makes Ctrl+Enter (Cmd+Enter on a Mac) in `textArea` submit the form `formId`; Enter alone begins a new line. */
export function submitOnCtrlEnter(textArea: HTMLTextAreaElement, formId: string): void {
  textArea.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId(formId, HTMLFormElement).requestSubmit()
  })
}
