/** The tools of `<oriel-console>`: a bar of buttons, most of them with a panel. Loaded only for an element that has tools. */
import { copyText } from '../clipboard.ts'
import type { ConsoleState } from '../console-events.ts'
import { type barTexts, t } from '../language/texts/bar.ts'
import { t as typingText } from '../language/texts/typing.ts'
import { chosenLayout, layoutOptions, rememberLayout, typingTrouble } from '../layout-choice.ts'
import { offerArrowKeys } from '../roving-focus.ts'
import type { Shown } from './shown.ts'
import type { Tool } from './tools.ts'

/** The members of `<oriel-console>` that its tools use. */
export interface BarOwner extends HTMLElement {
  readonly state: ConsoleState
  readonly viewOnly: boolean
  scale: string
  sendKeys(...keys: string[]): Promise<void>
  typeText(
    text: string,
    options: { readonly layout: string; readonly signal: AbortSignal },
  ): Promise<{ readonly skipped: readonly string[] }>
  screenshot(): Promise<Blob>
  text(): Promise<string>
}

/** Creates the bar. Its buttons are enabled while the console is connected, and those for input while it takes input. */
export function createBar(owner: BarOwner, shown: Shown, tools: readonly Tool[]): HTMLElement {
  const bar = create('div', { className: 'bar', role: 'toolbar', ariaLabel: t('bar.console') })
  bar.part.add('toolbar')
  for (const tool of tools) if (offers(shown, tool)) bar.append(...builders[tool](owner, shown))
  const follow = () => {
    const isOpen = owner.state === 'connected'
    const takesInput = isOpen && !owner.viewOnly && shown.element.hasControl
    for (const button of bar.querySelectorAll<HTMLButtonElement>('[data-needs]'))
      button.disabled = button.dataset.needs === 'input' ? !takesInput : !isOpen
  }
  shown.element.addEventListener('statechange', follow)
  shown.element.addEventListener('presence', follow)
  follow()
  offerArrowKeys(bar)
  return bar
}

/** A console shows only the tools that it can do something with. */
function offers({ kind }: Shown, tool: Tool): boolean {
  if (tool === 'clipboard') return kind === 'vnc'
  if (tool === 'full') return document.fullscreenEnabled
  return true
}

const builders: Readonly<Record<Tool, (owner: BarOwner, shown: Shown) => Node[]>> = {
  keys: keysTool,
  type: typeTool,
  clipboard: clipboardTool,
  view: viewTool,
  full: fullTool,
}

const screenKeys = ['Escape', 'Tab', 'Enter', 'Backspace', 'Insert', 'Delete', 'Home', 'End', 'PageUp', 'PageDown']
const terminalKeys = ['Ctrl+C', 'Ctrl+D', 'Ctrl+Z', 'Escape', 'Tab', 'Enter', 'Backspace', 'Home', 'End']
const arrows = ['ArrowLeft', 'ArrowUp', 'ArrowDown', 'ArrowRight']
const functionKeys = Array.from({ length: 12 }, (_, i) => `F${i + 1}`)
const textConsoles = Array.from({ length: 6 }, (_, i) => `Ctrl+Alt+F${i + 1}`)

function keysTool(owner: BarOwner, { kind }: Shown): Node[] {
  const note = createNote()
  const press = (key: string) => owner.sendKeys(key).then(() => note.tell(''), note.fail)
  const key = (name: string) => button(keyName(name), () => void press(name))
  const rows = kind === 'serial' ? [terminalKeys, arrows] : [screenKeys, arrows, functionKeys, textConsoles]
  const { opener, panel } = panelTool('keys')
  panel.append(...rows.map((names) => create('div', { className: 'row' }, ...names.map(key))))
  if (kind !== 'serial') panel.append(create('div', { className: 'row' }, ctrlAltDel(press)))
  panel.append(note.element)
  return [opener, panel]
}

/** Returns the name of a key or of a chord for people: a letter and `F1` are their own. */
function keyName(keys: string): string {
  return keys
    .split('+')
    .map((key) => (isNamed(key) ? t(`key.${key}`) : key))
    .join('+')
}

const named = [...screenKeys, ...arrows, 'Ctrl']
type NamedKey = keyof typeof barTexts extends infer K ? (K extends `key.${infer Name}` ? Name : never) : never
const isNamed = (key: string): key is NamedKey => named.includes(key)

/** Asks first: the keys restart many machines. */
function ctrlAltDel(press: (key: string) => void): HTMLButtonElement {
  const first = t('bar.ctrl-alt-del')
  const sure = t('bar.sure')
  const made = button(first, () => {
    const isSure = made.textContent === sure
    made.textContent = isSure ? first : sure
    if (isSure) press('Ctrl+Alt+Delete')
  })
  made.addEventListener('blur', () => {
    made.textContent = first
  })
  made.className = 'danger'
  return made
}

function typeTool(owner: BarOwner, { kind }: Shown): Node[] {
  const { opener, panel } = panelTool('type')
  const text = create('textarea', { rows: 4, ariaLabel: typingText('typing.text-label'), spellcheck: false })
  const layout = create('select', {})
  const note = createNote()
  let typing: AbortController | undefined
  const type = async () => {
    if (typing !== undefined || text.value === '') return
    typing = new AbortController()
    note.tell(t('bar.typing'))
    try {
      const { skipped } = await owner.typeText(text.value, { layout: layout.value || 'us', signal: typing.signal })
      note.tell(
        skipped.length === 0
          ? typingText('typing.done')
          : typingText('typing.done-without', { characters: skipped.join(' ') }),
      )
    } catch (error) {
      note.tell(typing.signal.aborted ? typingText('typing.stopped') : (typingTrouble(error) ?? messageOf(error)))
    } finally {
      typing = undefined
    }
  }
  panel.append(text)
  if (kind !== 'serial') panel.append(create('label', { className: 'row' }, typingText('typing.layout-label'), layout))
  const stop = create('button', { type: 'button', textContent: typingText('typing.stop') })
  stop.addEventListener('click', () => typing?.abort())
  panel.append(
    create(
      'div',
      { className: 'row' },
      button(typingText('typing.type'), () => void type()),
      stop,
    ),
    note.element,
  )
  panel.addEventListener('beforetoggle', () => void fillLayouts(layout, owner))
  layout.addEventListener('change', () => rememberLayout(owner.title, layout.value))
  return [opener, panel]
}

async function fillLayouts(layout: HTMLSelectElement, owner: BarOwner): Promise<void> {
  const chosen = await chosenLayout(owner.title)
  if (layout.options.length > 0) return
  layout.append(...layoutOptions().map(({ label, name }) => new Option(label, name)))
  layout.value = chosen
}

function clipboardTool(_: BarOwner, { element }: Shown): Node[] {
  const { opener, panel } = panelTool('clipboard', 'console')
  const text = create('textarea', { rows: 4, ariaLabel: t('bar.clipboard-text'), spellcheck: false })
  const note = createNote()
  const send = () => {
    try {
      if (!('sendClipboard' in element)) return
      const { replaced } = element.sendClipboard(text.value)
      note.tell(replaced.length === 0 ? t('bar.sent') : t('bar.sent-replaced', { characters: replaced.join(' ') }))
    } catch (error) {
      note.fail(error)
    }
  }
  const copy = async () => note.tell((await copyText(text.value)) ? t('bar.copied') : t('bar.copy-refused-select'))
  element.addEventListener('clipboard', (event) => {
    text.value = (event as CustomEvent<{ text: string }>).detail.text
    note.tell(t('bar.received'))
  })
  const row = [button(t('bar.send'), send), button(t('bar.copy'), () => void copy(), 'console')]
  panel.append(text, create('div', { className: 'row' }, ...row), note.element)
  return [opener, panel]
}

function viewTool(owner: BarOwner, { kind, element }: Shown): Node[] {
  const { opener, panel } = panelTool('view', 'console')
  const note = createNote()
  const row = create('div', { className: 'row' })
  if ('scale' in element) row.append(actualSize(owner))
  if (kind !== 'serial')
    row.append(button(t('bar.save-picture'), () => void savePicture(owner).catch(note.fail), 'console'))
  if (kind !== 'spice')
    row.append(button(t('bar.copy-text'), () => void copyOutput(owner, note).catch(note.fail), 'console'))
  panel.append(row, note.element)
  return [opener, panel]
}

function actualSize(owner: BarOwner): HTMLButtonElement {
  const fitted = owner.scale === 'none' ? 'fit' : owner.scale
  const made = button(
    t('bar.actual-size'),
    () => {
      owner.scale = owner.scale === 'none' ? fitted : 'none'
      made.ariaPressed = String(owner.scale === 'none')
    },
    'console',
  )
  made.ariaPressed = String(owner.scale === 'none')
  return made
}

async function savePicture(owner: BarOwner): Promise<void> {
  const link = create('a', { href: URL.createObjectURL(await owner.screenshot()), download: 'screen.png' })
  link.click()
  URL.revokeObjectURL(link.href)
}

async function copyOutput(owner: BarOwner, note: Note): Promise<void> {
  const text = await owner.text()
  if (text.trim() === '') note.tell(t('bar.no-text'))
  else note.tell((await copyText(text)) ? t('bar.copied') : t('bar.copy-refused'))
}

function fullTool(owner: BarOwner): Node[] {
  const made = create('button', { type: 'button', className: 'tool', textContent: t('bar.full') })
  made.addEventListener('click', async () => {
    if (document.fullscreenElement === null) await owner.requestFullscreen({ navigationUI: 'hide' })
    else await document.exitFullscreen()
    owner.focus()
  })
  return [made]
}

/** Creates a button of the bar and the panel that it opens below itself. */
function panelTool(tool: Tool, needs: 'input' | 'console' = 'input') {
  const opener = create('button', { type: 'button', className: 'tool', textContent: t(`bar.${tool}`) })
  opener.dataset.needs = needs
  const panel = create('div', { className: 'panel', popover: 'auto', ariaLabel: t(`bar.${tool}`), role: 'group' })
  panel.part.add('panel')
  // Takes the focus when it opens, and gives it back when it closes.
  panel.tabIndex = -1
  panel.autofocus = true
  opener.popoverTargetElement = panel
  panel.addEventListener('toggle', (event) => {
    opener.ariaExpanded = String(event.newState === 'open')
    if (event.newState === 'open') putBelow(panel, opener)
  })
  return { opener, panel }
}

function putBelow(panel: HTMLElement, opener: HTMLElement): void {
  const { left, bottom } = opener.getBoundingClientRect()
  const room = document.documentElement.clientWidth - panel.offsetWidth - 8
  panel.style.left = `${Math.max(8, Math.min(left, room))}px`
  panel.style.top = `${bottom + 4}px`
}

interface Note {
  readonly element: HTMLElement
  tell(text: string): void
  readonly fail: (error: unknown) => void
}

function createNote(): Note {
  const element = create('p', { className: 'note', role: 'status' })
  const tell = (text: string) => {
    if (element.textContent !== text) element.textContent = text
  }
  return { element, tell, fail: (error) => tell(messageOf(error)) }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function button(label: string, act: () => void, needs: 'input' | 'console' = 'input'): HTMLButtonElement {
  const made = create('button', { type: 'button', textContent: label })
  made.dataset.needs = needs
  made.addEventListener('click', act)
  return made
}

function create<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]>,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = Object.assign(document.createElement(name), properties)
  node.append(...children)
  return node
}
