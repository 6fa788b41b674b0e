/** What a terminal offers on demand: search, its output with colours, and clearing that can be undone. */
import { SearchAddon } from '@xterm/addon-search'
import { SerializeAddon } from '@xterm/addon-serialize'
import type { Terminal } from '@xterm/xterm'

export class TerminalTools {
  readonly #terminal: Terminal
  readonly #search = new SearchAddon()
  readonly #serialize = new SerializeAddon()

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    terminal.loadAddon(this.#search)
    terminal.loadAddon(this.#serialize)
  }

  /** Selects the previous or next place of `text`, and returns whether there is one. */
  find(text: string, direction: 'previous' | 'next'): boolean {
    return direction === 'next' ? this.#search.findNext(text) : this.#search.findPrevious(text)
  }

  /** Returns all output with the escape sequences for its colours. */
  coloured(): string {
    return this.#serialize.serialize({ excludeModes: true, excludeAltBuffer: true })
  }

  /** Removes all output above the cursor's line, and returns a function that brings it back. */
  clear(): (() => void) | undefined {
    const { active } = this.#terminal.buffer
    const last = active.baseY + active.cursorY - 1
    // A program that draws the whole screen, such as an editor, has no scrollback.
    const isUndoable = active.type === 'normal' && last >= 0
    const removed = isUndoable ? this.#rowsTo(last) : ''
    this.#terminal.clear()
    return isUndoable ? () => this.#restore(removed) : undefined
  }

  /** Returns the rows up to `last` with their colours and line ends. The addon leaves empty rows at the end out. */
  #rowsTo(last: number): string {
    const { active } = this.#terminal.buffer
    let filled = last
    while (filled >= 0 && active.getLine(filled)?.translateToString(true) === '') filled -= 1
    const text = filled < 0 ? '' : this.#serialize.serialize({ range: { start: 0, end: filled }, excludeModes: true })
    return `${text}\x1b[0m${'\r\n'.repeat(last - filled + (filled < 0 ? 0 : 1))}`
  }

  /** Writes `removed` above the present output, whose modes and cursor stay. */
  #restore(removed: string): void {
    const present = this.#serialize.serialize()
    this.#terminal.reset()
    this.#terminal.write(removed + present)
  }
}
