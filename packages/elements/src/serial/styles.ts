/** The styles that xterm.js and the overlay of a terminal need in a shadow root. */

/** Returns the style sheet, which all terminals of a page share. */
export function terminalStyles(): CSSStyleSheet {
  if (shared === undefined) {
    shared = new CSSStyleSheet()
    shared.replaceSync(css)
  }
  return shared
}

let shared: CSSStyleSheet | undefined

const css = `
:host { background: #0b0e14 }
.stage { inset: .5rem 0 .25rem .6rem; overflow: hidden; touch-action: none }
/* Keep the last output readable: the overlay covers only the bottom. */
.overlay { inset: auto 0 0; place-items: center; background: none; pointer-events: none }
.overlay .card { pointer-events: auto }
.xterm { position: relative; height: 100%; cursor: text; user-select: none; -webkit-user-select: none }
.xterm:focus, .xterm.focus { outline: none }
.xterm.enable-mouse-events { cursor: default }
.xterm.column-select.focus { cursor: crosshair }
.xterm-cursor-pointer { cursor: pointer }
.xterm-helpers { position: absolute; top: 0; z-index: 5 }
.xterm-helper-textarea {
  position: absolute; left: -9999em; top: 0; width: 0; height: 0; margin: 0; padding: 0; border: 0;
  z-index: -5; opacity: 0; white-space: nowrap; overflow: hidden; resize: none;
}
.composition-view { display: none; position: absolute; z-index: 1; white-space: nowrap; background: #000; color: #fff }
.composition-view.active { display: block }
.xterm-viewport { position: absolute; inset: 0; overflow-y: hidden; cursor: default }
.xterm-screen { position: relative }
.xterm-char-measure-element {
  display: inline-block; visibility: hidden; position: absolute; top: 0; left: -9999em; line-height: normal;
}
.xterm-accessibility, .xterm-message { position: absolute; inset: 0; z-index: 10; color: transparent; pointer-events: none }
.xterm-accessibility-tree { font-family: monospace; user-select: text; white-space: pre }
.xterm-accessibility-tree > div { transform-origin: left; width: fit-content }
.live-region { position: absolute; left: -9999px; width: 1px; height: 1px; overflow: hidden }
.xterm-dim { opacity: 1 !important }
.xterm-underline-1 { text-decoration: underline }
.xterm-underline-2 { text-decoration: double underline }
.xterm-underline-3 { text-decoration: wavy underline }
.xterm-underline-4 { text-decoration: dotted underline }
.xterm-underline-5 { text-decoration: dashed underline }
.xterm-overline { text-decoration: overline }
.xterm-overline:is(.xterm-underline-1, .xterm-underline-2, .xterm-underline-3, .xterm-underline-4, .xterm-underline-5) {
  text-decoration-line: underline overline;
}
.xterm-strikethrough { text-decoration: line-through }
.xterm-decoration-container .xterm-decoration { position: absolute; z-index: 6 }
.scrollbar { cursor: default }
.scrollbar > .slider { border-radius: .25rem; background: #7b869c66 }
.scrollbar > .slider:is(:hover, .active) { background: #7b869caa }
.xterm-scrollable-element > .visible { opacity: 1; z-index: 11; transition: opacity .1s linear }
.xterm-scrollable-element > .invisible { opacity: 0; pointer-events: none }
.xterm-scrollable-element > .invisible.fade { transition: opacity .8s linear }
.xterm-scrollable-element > .shadow { display: none }
`
