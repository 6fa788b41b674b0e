/**
 * Turns terminal output into plain text, piece by piece: decodes UTF-8, removes control sequences (ECMA-48) such as colours,
 * and the carriage return before a line feed.
 */

/** Longer than any sequence in use. A longer one ends here, so that a stray ESC cannot hide the rest of the output. */
const MAX_SEQUENCE = 4096

type State = 'text' | 'return' | 'escape' | 'intermediate' | 'csi' | 'string' | 'string-escape'

export class PlainText {
  readonly #decoder = new TextDecoder()
  #state: State = 'text'
  #length = 0
  #text = ''

  /** Returns the text of the next bytes. An unfinished character or sequence waits for the bytes that follow. */
  push(bytes: Uint8Array): string {
    this.#text = ''
    for (const character of this.#decoder.decode(bytes, { stream: true })) this.#take(character)
    return this.#text
  }

  #take(character: string): void {
    if (this.#state === 'text') this.#takeText(character)
    else if (this.#state === 'return') this.#afterReturn(character)
    else this.#takeControl(character)
  }

  #takeText(character: string): void {
    if (character === '\r') this.#state = 'return'
    else if (character === '\u001b') this.#startSequence('escape')
    else if (character === '\u009b') this.#startSequence('csi')
    else if (!isIgnored(character)) this.#text += character
  }

  #afterReturn(character: string): void {
    if (character === '\r') return
    this.#state = 'text'
    if (character !== '\n') this.#text += '\r'
    this.#takeText(character)
  }

  #startSequence(state: State): void {
    this.#state = state
    this.#length = 0
  }

  #takeControl(character: string): void {
    this.#length += 1
    if (character === '\u0018' || character === '\u001a' || this.#length > MAX_SEQUENCE) this.#state = 'text'
    else this.#state = after(this.#state, character)
  }
}

function after(state: State, character: string): State {
  if (state === 'escape') return afterEscape(character)
  if (state === 'intermediate') return isIntermediate(character) ? 'intermediate' : 'text'
  if (state === 'csi') return character >= '@' && character <= '~' ? 'text' : 'csi'
  if (state === 'string-escape') return character === '\\' ? 'text' : afterEscape(character)
  if (character === '\u0007' || character === '\u009c') return 'text'
  return character === '\u001b' ? 'string-escape' : 'string'
}

function afterEscape(character: string): State {
  if (character === '[') return 'csi'
  // OSC, DCS, SOS, PM and APC are followed by a string that ends with ESC \ or, for OSC, with BEL.
  if (']PX^_'.includes(character)) return 'string'
  if (character === '\u001b') return 'escape'
  return isIntermediate(character) ? 'intermediate' : 'text'
}

const isIntermediate = (character: string) => character >= ' ' && character <= '/'

/** Control characters without a meaning in a text: all but tab, line feed, and backspace, which lets programs correct a line. */
const isIgnored = (character: string) => (character < ' ' && !'\t\n\b'.includes(character)) || character === '\u007f'
