/**
 * Makes xterm.js work under `style-src 'self'`. xterm.js writes style sheets into `<style>` elements and colours into
 * `style` attributes, which that policy forbids; it allows the same rules through the CSS object model. So xterm.js
 * gets elements that use the object model. Pinned to xterm.js 6.0: a browser test checks its colours under the policy.
 */
import type { Terminal } from '@xterm/xterm'

/** Opens `terminal` in `parent`, and adopts its style sheets into the shadow root `root`. */
export function openStrictly(terminal: Terminal, parent: HTMLElement, root: ShadowRoot): void {
  const createElement = (name: string) => (name === 'style' ? sheetHolder(root) : styledByRule(name))
  replacingCreateElement(createElement, () => terminal.open(parent))
  // A part of xterm.js creates the cells later. It has no option for the document that it uses.
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

/** Replaces `document.createElement` while `open` runs: xterm.js creates its `<style>` elements only then. */
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

/** Creates a stand-in for a `<style>` element. Its text becomes a style sheet of the shadow root. */
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

// Not `document.createElement`: it is replaced while a terminal opens.
const create = (name: string): HTMLElement => Document.prototype.createElement.call(document, name)
