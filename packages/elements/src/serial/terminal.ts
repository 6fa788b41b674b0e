/** The terminal of a serial console. Output from the machine affects only the terminal, never the page around it. */
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { openStrictly } from './strict-style.ts'
import { terminalStyles } from './styles.ts'

/** The limit for output that waits to be drawn, in bytes. More output is dropped, as on a slow terminal. */
export const maxPendingBytes = 8 * 1024 * 1024

export interface TerminalEvents {
  /** Receives what the user types or pastes, and the terminal's replies to the machine's queries. */
  input(bytes: Uint8Array): void
  title(text: string): void
}

export interface SerialTerminal {
  readonly terminal: Terminal
  /** Draws output. Drops it when {@link maxPendingBytes} are already waiting. */
  write(bytes: Uint8Array | string): void
  /** Resizes the terminal to the columns and rows that fit into its stage. */
  fit(): void
}

/** Creates a terminal in `stage`, which is in the shadow root `root` and has a size. */
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
    // Links from the machine are disabled: a link's text can hide where it leads.
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
