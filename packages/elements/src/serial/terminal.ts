/** The terminal of a serial console: what the machine says is drawn, never obeyed beyond the terminal itself. */
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { openStrictly } from './strict-style.ts'
import { terminalStyles } from './styles.ts'

/** Output that waits to be drawn may take this much; what comes beyond it is lost, as on a slow terminal. In bytes. */
export const maxPendingBytes = 8 * 1024 * 1024

export interface TerminalEvents {
  /** What the person types or pastes, and what the terminal itself answers to the machine. */
  input(bytes: Uint8Array): void
  title(text: string): void
}

export interface SerialTerminal {
  readonly terminal: Terminal
  /** Draws output; lost when too much waits. */
  write(bytes: Uint8Array | string): void
  /** Takes as many columns and rows as there is room for. */
  fit(): void
}

/** Puts a terminal into `stage`, which is in the shadow root `root` and has a size. */
export function createSerialTerminal(
  root: ShadowRoot,
  stage: HTMLElement,
  { input, title }: TerminalEvents,
): SerialTerminal {
  root.adoptedStyleSheets.push(terminalStyles())
  const terminal = new Terminal({
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
    fontSize: 14,
    scrollback: 10_000,
    cursorBlink: false,
    theme,
    // A link of the machine's leads nowhere: what it says and where it goes are two things.
    linkHandler: { activate: () => {} },
  })
  const fitAddon = new FitAddon()
  terminal.loadAddon(fitAddon)
  openStrictly(terminal, stage, root)
  const encoder = new TextEncoder()
  terminal.onData((text) => input(encoder.encode(text)))
  terminal.onBinary((text) => input(Uint8Array.from(text, (character) => character.charCodeAt(0))))
  terminal.onTitleChange(title)
  terminal.attachCustomKeyEventHandler((event) => !copies(event, terminal))
  let pendingBytes = 0
  return {
    terminal,
    write(bytes) {
      if (pendingBytes > maxPendingBytes) return
      pendingBytes += bytes.length
      terminal.write(bytes, () => {
        pendingBytes -= bytes.length
      })
    },
    fit: () => fitAddon.fit(),
  }
}

/** Ctrl+Shift+C copies, as in every terminal; Ctrl+C alone is for the machine. */
function copies(event: KeyboardEvent, terminal: Terminal): boolean {
  if (!(event.ctrlKey && event.shiftKey && event.code === 'KeyC')) return false
  event.preventDefault()
  if (event.type === 'keydown' && terminal.hasSelection()) {
    navigator.clipboard?.writeText(terminal.getSelection()).catch(() => {})
  }
  return true
}

const theme = {
  background: '#0b0e14',
  foreground: '#dfe4ee',
  cursor: '#7aa2ff',
  cursorAccent: '#0b0e14',
  selectionBackground: '#35508f',
  black: '#1b2130',
  red: '#ff8f85',
  green: '#5fd39a',
  yellow: '#f0b429',
  blue: '#7aa2ff',
  magenta: '#d59bff',
  cyan: '#5fd0e0',
  white: '#dfe4ee',
  brightBlack: '#7b869c',
  brightRed: '#ffb3ab',
  brightGreen: '#8de8b9',
  brightYellow: '#ffd166',
  brightBlue: '#a9c2ff',
  brightMagenta: '#e6c2ff',
  brightCyan: '#98e6f0',
  brightWhite: '#ffffff',
} as const
