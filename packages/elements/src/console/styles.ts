/** The style of `<oriel-console>` and of its tools. */

/** Returns the style sheet, which all consoles of a page share. It needs that of the overlay, with the colours. */
export function consoleStyles(): CSSStyleSheet {
  if (shared === undefined) {
    shared = new CSSStyleSheet()
    shared.replaceSync(css)
  }
  return shared
}

let shared: CSSStyleSheet | undefined

const css = `
:host { display: flex; flex-direction: column; --_edge: light-dark(#808ba0, #6f7c95) }
:host(:has(:focus-visible))::after { content: none }
.place { position: relative; flex: 1; min-height: 0 }
.bar {
  display: flex;
  flex-wrap: wrap;
  gap: .25rem;
  padding: .25rem;
  border-bottom: 1px solid var(--_line);
  background: var(--_surface);
  color: var(--_ink);
}
.bar > button, .panel button, .panel select, .panel textarea {
  box-sizing: border-box;
  min-height: 2.25rem;
  padding: .3rem .75rem;
  border: 1px solid var(--_edge);
  border-radius: .5rem;
  background: transparent;
  color: inherit;
  font: inherit;
  font-size: .9rem;
}
.bar > button { border-color: transparent }
.bar > button[aria-pressed=true] { border-color: var(--_accent) }
button:disabled { opacity: .5; cursor: default }
.panel {
  position: fixed;
  inset: auto;
  box-sizing: border-box;
  max-width: min(26rem, calc(100vw - 1rem));
  margin: 0;
  padding: .75rem;
  border: 1px solid var(--_line);
  border-radius: .75rem;
  background: var(--_surface);
  color: var(--_ink);
  box-shadow: 0 12px 32px #00000029;
}
.row { display: flex; flex-wrap: wrap; align-items: center; gap: .375rem; margin-top: .5rem }
.row:first-child { margin-top: 0 }
.panel textarea { display: block; width: 22rem; max-width: 100%; resize: vertical }
.panel label { font-size: .9rem }
.panel .danger { border-color: light-dark(#c9372c, #ff8f85); color: light-dark(#b3261e, #ff8f85) }
.note { min-height: 1.4em; margin-top: .5rem; font-size: .9rem; color: var(--_muted) }
@media (pointer: coarse) { .bar > button, .panel button { min-height: 2.75rem } }
`
