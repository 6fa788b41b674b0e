/** The tools of `<oriel-console>`: a bar of buttons, most of them with a panel. Loaded only for an element that has tools. */
import { copyText } from '../clipboard.ts'
import type { ConsoleState } from '../console-element.ts'
import { chosenLayout, layoutOptions, rememberLayout, untypableText } from '../layout-choice.ts'
import type { Shown } from './shown.ts'
import type { Tool } from './tools.ts'

const labels: Readonly<Record<Tool, string>> = {
  keys: 'Keys',
  type: 'Type',
  clipboard: 'Clipboard',
  view: 'View',
  full: 'Full screen',
}

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
  const bar = create('div', { className: 'bar', role: 'toolbar', ariaLabel: 'Console' })
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
  const key = (name: string) => button(name.replace('Arrow', ''), () => void press(name))
  const rows = kind === 'serial' ? [terminalKeys, arrows] : [screenKeys, arrows, functionKeys, textConsoles]
  const { opener, panel } = panelTool('keys')
  panel.append(...rows.map((names) => create('div', { className: 'row' }, ...names.map(key))))
  if (kind !== 'serial') panel.append(create('div', { className: 'row' }, ctrlAltDel(press)))
  panel.append(note.element)
  return [opener, panel]
}

/** Asks first: the keys restart many machines. */
function ctrlAltDel(press: (key: string) => void): HTMLButtonElement {
  const first = 'Ctrl+Alt+Del'
  const sure = 'Ctrl+Alt+Del restarts many machines. Press again to send it.'
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
  const text = create('textarea', { rows: 4, ariaLabel: 'Text to type', spellcheck: false })
  const layout = create('select', {})
  const note = createNote()
  let typing: AbortController | undefined
  const type = async () => {
    if (typing !== undefined || text.value === '') return
    typing = new AbortController()
    note.tell('Typing…')
    try {
      const { skipped } = await owner.typeText(text.value, { layout: layout.value || 'us', signal: typing.signal })
      note.tell(skipped.length === 0 ? 'Typed.' : `Typed, without ${skipped.join(' ')}`)
    } catch (error) {
      note.tell(untypableText(error) ?? (typing.signal.aborted ? 'Stopped.' : messageOf(error)))
    } finally {
      typing = undefined
    }
  }
  panel.append(text)
  if (kind !== 'serial') panel.append(create('label', { className: 'row' }, 'Keyboard layout of the machine', layout))
  const stop = create('button', { type: 'button', textContent: 'Stop' })
  stop.addEventListener('click', () => typing?.abort())
  panel.append(
    create(
      'div',
      { className: 'row' },
      button('Type it', () => void type()),
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
  const text = create('textarea', { rows: 4, ariaLabel: 'Clipboard text', spellcheck: false })
  const note = createNote()
  const send = () => {
    try {
      if (!('sendClipboard' in element)) return
      const { replaced } = element.sendClipboard(text.value)
      note.tell(replaced.length === 0 ? 'Sent.' : `Sent, with "?" in place of ${replaced.join(' ')}`)
    } catch (error) {
      note.fail(error)
    }
  }
  const copy = async () =>
    note.tell((await copyText(text.value)) ? 'Copied.' : 'The browser does not allow to copy. Select the text.')
  element.addEventListener('clipboard', (event) => {
    text.value = (event as CustomEvent<{ text: string }>).detail.text
    note.tell('Received from the machine.')
  })
  const row = [button('Send to the machine', send), button('Copy', () => void copy(), 'console')]
  panel.append(text, create('div', { className: 'row' }, ...row), note.element)
  return [opener, panel]
}

function viewTool(owner: BarOwner, { kind, element }: Shown): Node[] {
  const { opener, panel } = panelTool('view', 'console')
  const note = createNote()
  const row = create('div', { className: 'row' })
  if ('scale' in element) row.append(actualSize(owner))
  if (kind !== 'serial') row.append(button('Save a picture', () => void savePicture(owner).catch(note.fail), 'console'))
  if (kind !== 'spice')
    row.append(button('Copy the text', () => void copyOutput(owner, note).catch(note.fail), 'console'))
  panel.append(row, note.element)
  return [opener, panel]
}

function actualSize(owner: BarOwner): HTMLButtonElement {
  const fitted = owner.scale === 'none' ? 'fit' : owner.scale
  const made = button(
    'Actual size',
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
  if (text.trim() === '') note.tell('The screen has no text in a font of text consoles.')
  else note.tell((await copyText(text)) ? 'Copied.' : 'The browser does not allow to copy.')
}

function fullTool(owner: BarOwner): Node[] {
  const made = create('button', { type: 'button', textContent: labels.full })
  made.addEventListener('click', async () => {
    if (document.fullscreenElement === null) await owner.requestFullscreen({ navigationUI: 'hide' })
    else await document.exitFullscreen()
    owner.focus()
  })
  return [made]
}

/** Creates a button of the bar and the panel that it opens below itself. */
function panelTool(tool: Tool, needs: 'input' | 'console' = 'input') {
  const opener = create('button', { type: 'button', textContent: labels[tool] })
  opener.dataset.needs = needs
  const panel = create('div', { className: 'panel', popover: 'auto', ariaLabel: labels[tool], role: 'group' })
  panel.part.add('panel')
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
