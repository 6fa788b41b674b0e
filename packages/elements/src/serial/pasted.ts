/** Takes control characters out of pasted text. */

/** Pasted text after {@link cleanPaste}. */
export interface PastedText {
  /** The text without control characters. Its line ends are `\n`. */
  readonly text: string
  /** The names of the control characters that were taken out, each once, such as `ESC`. */
  readonly removed: readonly string[]
  /** The number of lines; a line end at the very end begins no further line. */
  readonly lines: number
}

/**
 * Takes control characters out of `text`, except for tabs and line ends. A pasted `ESC [ 201 ~` would end the bracketed paste of a
 * shell, which would then run the rest; xterm.js 6.0 passes it on (https://cirw.in/blog/bracketed-paste).
 */
export function cleanPaste(text: string): PastedText {
  const removed = new Set<string>()
  const clean = text.replace(/\r\n?/g, '\n').replace(controls, (character) => {
    removed.add(nameOf(character))
    return ''
  })
  return { text: clean, removed: [...removed], lines: clean.replace(/\n$/, '').split('\n').length }
}

/** C0 without tab and line feed, DEL, and C1. */
const controls = /[^\P{Cc}\t\n]/gu

const c0 =
  'NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'
const c0Names = c0.split(' ')

function nameOf(character: string): string {
  const code = character.codePointAt(0)!
  return c0Names[code] ?? (code === 0x7f ? 'DEL' : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`)
}
