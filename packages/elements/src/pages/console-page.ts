/** What the console pages do alike: the bar with name, state and tools, panels, copying and full screen. */
import type { ConsoleElement, ConsoleSession, ConsoleState } from '../console-element.ts'
import { byId, setText } from './dom.ts'
import type { PageQuery } from './page-query.ts'

type Console = ConsoleElement<ConsoleSession>

/** Dials the console of the page's own address, which is the access URL. */
export function dial(screen: Console, query: PageQuery): void {
  screen.viewOnly = query.viewOnly
  screen.reconnect = query.reconnect
  // The token stays in the address, so that reloading the page opens the console again.
  screen.url = location.href
}

/** Shows the machine's name from the page's URL. If there is none, the returned function sets it. */
export function showName({ name, detail }: PageQuery): (name: string) => void {
  const show = (shown: string) => {
    setText(byId('name', HTMLElement), shown || 'Console')
    document.title = shown === '' ? 'Console' : `${shown} · Console`
  }
  show(name)
  setText(byId('detail', HTMLElement), detail)
  return (own) => {
    if (name === '') show(own)
  }
}

/** Keeps the state in the bar, and enables what needs a console (`data-needs`): any, or one that takes keys. */
export function followState(screen: Console, { viewOnly }: PageQuery): void {
  const sentences = {
    idle: 'No console',
    connecting: 'Opening…',
    connected: viewOnly ? 'Connected, view only' : 'Connected',
    waiting: 'Trying again…',
    ended: 'Not connected',
  } as const satisfies Record<ConsoleState, string>
  const follow = () => {
    byId('status', HTMLElement).dataset.state = screen.state
    setText(byId('status-text', HTMLElement), sentences[screen.state])
    for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-needs]')) {
      button.disabled = screen.state !== 'connected' || (button.dataset.needs === 'keys' && viewOnly)
    }
  }
  screen.addEventListener('statechange', follow)
  screen.addEventListener('connect', () => {
    if (document.querySelector(':popover-open') === null) screen.focus({ preventScroll: true })
  })
  screen.addEventListener('release', () => document.querySelector<HTMLButtonElement>('.tool:not(:disabled)')?.focus())
  follow()
}

/** A button between the actual size and `fitted`. */
export function offerScale<S extends string>(screen: Console & { scale: S | 'none' }, fitted: S): void {
  const button = byId('scale', HTMLButtonElement)
  const show = () => button.setAttribute('aria-pressed', String(screen.scale === 'none'))
  button.addEventListener('click', () => {
    screen.scale = screen.scale === 'none' ? fitted : 'none'
    show()
    screen.focus()
  })
  screen.addEventListener('statechange', show)
}

export function offerFullScreen(screen: Console): void {
  const button = byId('full-screen', HTMLButtonElement)
  button.hidden = !document.fullscreenEnabled
  button.addEventListener('click', async () => {
    await screen.requestFullscreen({ navigationUI: 'hide' })
    screen.focus()
    // So that Escape and Ctrl+W reach the machine; holding Escape leaves. Only some browsers can.
    await keyboard()?.lock?.()
  })
  document.addEventListener('fullscreenchange', () => {
    if (document.fullscreenElement === null) keyboard()?.unlock?.()
  })
}

const keyboard = () => (navigator as { keyboard?: { lock?: () => Promise<void>; unlock?: () => void } }).keyboard

/** Puts `text` on the person's clipboard; `false` where that is not allowed. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false // not a secure context, or not allowed
  }
}

export function onClick(id: string, listener: () => void): void {
  byId(id, HTMLButtonElement).addEventListener('click', listener)
}

export function onSubmit(id: string, listener: () => void): void {
  byId(id, HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    listener()
  })
}

/** Ctrl+Enter in `text` submits the form `id`; Enter alone makes a line, as in any text. */
export function submitOnCtrlEnter(text: HTMLTextAreaElement, id: string): void {
  text.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId(id, HTMLFormElement).requestSubmit()
  })
}
