/** Covers a console that is not connected, and shows its state, advice and a button. */
/** The overlay's texts. */
export interface OverlayText {
  readonly tone: 'busy' | 'waiting' | 'off' | 'ended'
  readonly text: string
  readonly advice?: string
  /** A line that the user may want to copy, below the advice. */
  readonly code?: string
  /** The buttons, the most likely one first. Default: none. */
  readonly actions?: readonly OverlayAction[]
}

export interface OverlayAction {
  readonly label: string
  readonly act: () => void
}

export interface Overlay {
  /** Whether the card, or a button on it, has the focus. */
  readonly hasFocus: boolean
  /** Moves the focus to the card: the next Tab reaches its button, and no key of a person who types presses it. */
  focus(): void
  show(text: OverlayText): void
  hide(): void
  /** Shows a picture under the overlay; `undefined` removes it. */
  showStill(still: HTMLCanvasElement | undefined): void
}

/**
 * Adds a hidden overlay to `root`, or to the node `into` in it. It never parses texts as HTML: they may come from a machine.
 */
export function createOverlay(root: ShadowRoot, into: ParentNode = root): Overlay {
  root.adoptedStyleSheets.push(styles())
  const text = element('p', 'text')
  const advice = element('p', 'advice')
  const code = element('code', 'code')
  const first = createButton('action')
  const second = createButton('action other')
  const buttons = element('div', 'actions', first.button, second.button)
  const card: HTMLElement = element(
    'div',
    'card',
    element('div', 'mark'),
    element('div', 'words', text, advice, code),
    buttons,
  )
  card.part.add('card')
  card.tabIndex = -1
  // Without a name: the live region says the texts.
  card.setAttribute('role', 'group')
  const overlay = element('div', 'overlay', card)
  overlay.part.add('overlay')
  overlay.hidden = true
  const under = element('div', 'under')
  // A screen reader does not announce a live region that appears together with its text.
  const live = element('div', 'live', overlay)
  live.setAttribute('role', 'status')
  into.append(under, live)
  const hasFocus = () => card.contains(root.activeElement)
  return {
    get hasFocus() {
      return hasFocus()
    },
    focus: () => card.focus(),
    show(what) {
      const focused = root.activeElement
      overlay.dataset.tone = what.tone
      setText(text, what.text)
      setText(advice, what.advice ?? '')
      setText(code, what.code ?? '')
      first.show(what.actions?.[0])
      second.show(what.actions?.[1])
      buttons.hidden = !what.actions?.length
      overlay.hidden = false
      if (card.contains(focused) && focused?.checkVisibility() === false) card.focus()
    },
    hide() {
      overlay.hidden = true
    },
    showStill(still) {
      under.replaceChildren(...(still === undefined ? [] : [still]))
    },
  }
}

/** Creates a button that does what it shows at the moment. It is the same element for all texts, so that it keeps the focus. */
function createButton(className: string) {
  const button = element('button', className)
  let shown: OverlayAction | undefined
  button.type = 'button'
  button.part.add('action')
  button.addEventListener('click', () => shown?.act())
  return {
    button,
    show(action: OverlayAction | undefined) {
      shown = action
      setText(button, action?.label ?? '')
    },
  }
}

// A screen reader announces every assignment in a live region, even of the same text.
function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text
  node.hidden = text === ''
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, className: string, ...children: Node[]) {
  const node = document.createElement(name)
  node.className = className
  node.append(...children)
  return node
}

/** Returns a copy of the canvas `screen`, at the size at which the page displays it. */
export function stillOf(screen: HTMLCanvasElement): HTMLCanvasElement {
  const still = document.createElement('canvas')
  still.width = screen.width
  still.height = screen.height
  still.style.width = screen.style.width
  still.style.height = screen.style.height
  if (screen.width > 0 && screen.height > 0) still.getContext('2d')?.drawImage(screen, 0, 0)
  return still
}

let shared: CSSStyleSheet | undefined
function styles(): CSSStyleSheet {
  if (shared === undefined) {
    shared = new CSSStyleSheet()
    shared.replaceSync(css)
  }
  return shared
}

const css = `
:host {
  display: block;
  position: relative;
  overflow: hidden;
  min-height: 8rem;
  --_surface: var(--oriel-surface, light-dark(#ffffff, #1b2130));
  --_ink: var(--oriel-ink, light-dark(#161b26, #eef1f7));
  --_muted: var(--oriel-muted, light-dark(#5a6478, #a3adc2));
  --_line: var(--oriel-line, light-dark(#d9dee8, #333c50));
  --_accent: var(--oriel-accent, light-dark(#2b5fd9, #7aa2ff));
  --_on-accent: var(--oriel-on-accent, light-dark(#ffffff, #0b1020));
  --_scrim: var(--oriel-scrim, light-dark(#232938b3, #0a0d14b3));
  font-family: var(--oriel-font, system-ui, sans-serif);
}
:host([hidden]) { display: none }
:host(:has(:focus-visible))::after {
  content: '';
  position: absolute;
  inset: 0;
  border: 2px solid var(--_accent);
  pointer-events: none;
}
[hidden] { display: none !important }
.stage, ::slotted(*) { position: absolute; inset: 0 }
.overlay {
  position: absolute;
  inset: 0;
  display: grid;
  place-items: center;
  padding: 1rem;
  background: var(--_scrim);
  overflow: auto;
}
.card:focus { outline: none }
.card {
  box-sizing: border-box;
  display: grid;
  grid-template-columns: auto 1fr;
  gap: .25rem .875rem;
  align-items: start;
  max-width: 27rem;
  padding: 1.25rem 1.5rem 1.25rem 1.25rem;
  border: 1px solid var(--_line);
  border-radius: .75rem;
  background: var(--_surface);
  color: var(--_ink);
  box-shadow: 0 1px 2px #0000001a, 0 12px 32px #00000029;
  animation: rise .16s ease-out;
}
.words { display: grid; gap: .25rem; min-width: 0 }
p { margin: 0 }
p, .code { overflow-wrap: anywhere }
.text { font-size: 1rem; line-height: 1.4; font-weight: 600 }
.advice { font-size: .9rem; line-height: 1.45; color: var(--_muted) }
.code {
  margin-top: .25rem;
  padding: .5rem .65rem;
  border: 1px solid var(--_line);
  border-radius: .4rem;
  font: .85rem/1.4 ui-monospace, monospace;
  user-select: all;
}
.mark {
  box-sizing: border-box;
  width: 1.25rem;
  height: 1.25rem;
  margin-top: .05rem;
  border-radius: 50%;
  border: .2rem solid var(--_line);
}
.overlay[data-tone=busy] .mark, .overlay[data-tone=waiting] .mark {
  border-top-color: var(--_accent);
  animation: turn .9s linear infinite;
}
.overlay[data-tone=off] .mark { border-color: var(--_muted) }
.overlay[data-tone=ended] .mark {
  border: 0;
  background: light-dark(#c9372c, #ff8f85);
  color: var(--_surface);
  font: 800 .9rem/1.25rem var(--oriel-font, system-ui, sans-serif);
  text-align: center;
}
.overlay[data-tone=ended] .mark::before { content: '!' / '' }
.under > canvas {
  position: absolute;
  inset: 0;
  margin: auto;
  filter: grayscale(1);
  pointer-events: none;
}
.actions {
  grid-column: 2;
  display: flex;
  flex-wrap: wrap;
  gap: .5rem;
  margin-top: .75rem;
}
button {
  min-height: 2.5rem;
  padding: .4rem 1.1rem;
  border: 0;
  border-radius: .5rem;
  background: var(--_accent);
  color: var(--_on-accent);
  font: inherit;
  font-size: .95rem;
  font-weight: 600;
  cursor: pointer;
}
button.other {
  border: 1px solid light-dark(#8a94a6, #69758c);
  background: transparent;
  color: var(--_ink);
}
button:hover { filter: brightness(1.08) }
button:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px }
@keyframes turn { to { transform: rotate(1turn) } }
@keyframes rise { from { opacity: 0; transform: translateY(.375rem) } }
@media (prefers-reduced-motion: reduce) {
  .card { animation: none }
  .overlay .mark { animation-duration: 6s }
}
`
