/** The terminal of a serial console. Output from the machine affects only the terminal, never the page around it. */
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { loadPart, once } from '../load-part.ts'
import { unicodeProvider } from './character-width.ts'
import { OutputQueue } from './output-queue.ts'
import { openStrictly } from './strict-style.ts'
import { terminalStyles } from './styles.ts'
import type { TerminalTools } from './terminal-tools.ts'
import { scrollByFinger } from './touch-scroll.ts'

/** How much output the terminal's parser is given at a time, in bytes. The rest waits in a queue, whose oldest part can be left out. */
const parserBytes = 256 * 1024

/** In CSS pixels. */
export const defaultFontSize = 14

export interface TerminalEvents {
  /** Receives the input that the user types, and the terminal's replies to the machine's queries. */
  input(bytes: Uint8Array): void
  /** Receives the text that the user pastes. */
  paste(text: string): void
  title(text: string): void
}

export interface SerialTerminal {
  readonly terminal: Terminal
  /** Draws output. If it arrives faster than the browser draws, the oldest is left out. */
  write(bytes: Uint8Array | string): void
  /** Removes all output, including output that waits to be drawn. */
  reset(): void
  /** Resizes the terminal to the columns and rows that fit into its stage. */
  fit(): void
  /** Loads the search, the colours and the undo, which most sessions never need. */
  tools(): Promise<TerminalTools>
}

/** Creates a terminal in `stage`, which is in the shadow root `root` and has a size. */
export function createSerialTerminal(
  root: ShadowRoot,
  stage: HTMLElement,
  { input, paste, title }: TerminalEvents,
): SerialTerminal {
  root.adoptedStyleSheets.push(terminalStyles())
  const terminal = new Terminal({
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
    fontSize: defaultFontSize,
    scrollback: 10_000,
    cursorBlink: false,
    // For `unicode` below.
    allowProposedApi: true,
    theme,
    // Links from the machine are disabled: a link's text can hide where it leads.
    linkHandler: { activate: () => {} },
  })
  terminal.unicode.register(unicodeProvider)
  terminal.unicode.activeVersion = unicodeProvider.version
  const fitAddon = new FitAddon()
  terminal.loadAddon(fitAddon)
  openStrictly(terminal, stage, root)
  const encoder = new TextEncoder()
  terminal.onData((text) => input(encoder.encode(text)))
  terminal.onBinary((text) => input(Uint8Array.from(text, (character) => character.charCodeAt(0))))
  terminal.onTitleChange(title)
  // Before a key asks for it: a browser grants the clipboard to a key for a short time only.
  terminal.onSelectionChange(() => void loadClipboard().catch(() => undefined))
  terminal.attachCustomKeyEventHandler((event) => !copies(event, terminal))
  takePastes(stage, paste)
  scrollByFinger(stage, terminal, (text) => input(encoder.encode(text)))
  return { terminal, ...writer(terminal), fit: () => fitAddon.fit(), tools: toolsOf(terminal) }
}

function writer(terminal: Terminal): Pick<SerialTerminal, 'write' | 'reset'> {
  const queue = new OutputQueue()
  let parsing = 0
  const pump = () => {
    while (parsing < parserBytes) {
      const bytes = queue.shift()
      if (bytes === undefined) return
      parsing += bytes.length
      terminal.write(bytes, () => {
        parsing -= bytes.length
        pump()
      })
    }
  }
  return {
    write(bytes) {
      queue.push(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes)
      pump()
    },
    reset() {
      queue.clear()
      terminal.reset()
    },
  }
}

function toolsOf(terminal: Terminal): () => Promise<TerminalTools> {
  return once(async () => {
    const { TerminalTools } = await loadPart(() => import('./terminal-tools.ts'))
    return new TerminalTools(terminal)
  })
}

/** Withholds pastes from xterm.js, which passes control characters on to the machine. */
function takePastes(stage: HTMLElement, paste: (text: string) => void): void {
  const take = (event: ClipboardEvent) => {
    event.preventDefault()
    event.stopPropagation()
    paste(event.clipboardData?.getData('text/plain') ?? '')
  }
  stage.addEventListener('paste', take, { capture: true })
}

/** Ctrl+Shift+C copies, as in every terminal; Ctrl+C alone is for the machine. */
function copies(event: KeyboardEvent, terminal: Terminal): boolean {
  if (!(event.ctrlKey && event.shiftKey && event.code === 'KeyC')) return false
  event.preventDefault()
  if (event.type === 'keydown') void copySelection(terminal)
  return true
}

/** Copies the selected text, if there is one. */
export async function copySelection(terminal: Terminal): Promise<void> {
  if (!terminal.hasSelection()) return
  const text = terminal.getSelection()
  const { copyText } = await loadClipboard()
  await copyText(text)
}

const loadClipboard = () => loadPart(() => import('../clipboard.ts'))

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
