/**
 * xterm.js under `style-src 'self'`. It writes style sheets into `<style>` and colours into `style` attributes, which
 * that policy forbids; the same rules through the CSS object model are allowed. So it is given elements that take the
 * other way. Pinned to xterm.js 6.0: a test in a browser shows its colours under the policy.
 */
import type { Terminal } from '@xterm/xterm'

/** Opens `terminal` in `parent`; its style sheets go to the shadow root `root`. */
export function openStrictly(terminal: Terminal, parent: HTMLElement, root: ShadowRoot): void {
  const createElement = (name: string) => (name === 'style' ? sheetHolder(root) : styledByRule(name))
  replacingCreateElement(createElement, () => terminal.open(parent))
  // The cells are made later, by a part that has no setting for the document it uses.
  const factory = (terminal as unknown as TerminalInside)._core?._renderService?._renderer?.value?._rowFactory
  if (factory !== undefined) factory._document = { createElement }
}

interface TerminalInside {
  readonly _core?: {
    readonly _renderService?: {
      readonly _renderer?: { readonly value?: { readonly _rowFactory?: { _document: Creator } } }
    }
  }
}

interface Creator {
  readonly createElement: (name: string) => HTMLElement
}

/** The terminal asks the document for its sheets while it opens, and never again. */
function replacingCreateElement(createElement: Creator['createElement'], open: () => void): void {
  const own = Object.getOwnPropertyDescriptor(document, 'createElement')
  Object.defineProperty(document, 'createElement', { configurable: true, value: createElement })
  try {
    open()
  } finally {
    if (own === undefined) Reflect.deleteProperty(document, 'createElement')
    else Object.defineProperty(document, 'createElement', own)
  }
}

/** Stands where a `<style>` would; its text becomes a sheet of the shadow root. */
function sheetHolder(root: ShadowRoot): HTMLElement {
  const sheet = new CSSStyleSheet()
  root.adoptedStyleSheets.push(sheet)
  const holder = create('span')
  holder.hidden = true
  Object.defineProperty(holder, 'textContent', { set: (css: string) => sheet.replaceSync(css) })
  return holder
}

function styledByRule(name: string): HTMLElement {
  const element = create(name)
  element.setAttribute = (attribute: string, value: string) => {
    if (attribute === 'style') element.style.cssText = value
    else Element.prototype.setAttribute.call(element, attribute, value)
  }
  return element
}

// Not `document.createElement`, which is ours while a terminal opens.
const create = (name: string): HTMLElement => Document.prototype.createElement.call(document, name)
