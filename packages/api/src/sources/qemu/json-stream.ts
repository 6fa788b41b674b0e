/** Splits a stream of JSON objects into the text of each. */

export interface JsonStreamLimits {
  /** Longest text of one object, in characters. */
  readonly maxCharacters: number
  /** Deepest nesting of objects and arrays; the outermost is 1. */
  readonly maxDepth: number
}

/** Thrown when the stream is not a sequence of JSON objects within the limits. */
export class MalformedJsonStream extends Error {
  override readonly name = 'MalformedJsonStream'
}

/**
 * Finds the end of each object in a stream by counting brackets outside of strings, independent of line breaks: QEMU writes
 * one object a line, and with `-qmp-pretty` an object over many lines. Examines each character once, in pieces of any
 * size. Leaves it to `JSON.parse` to check that the text of an object is valid JSON.
 */
export class JsonStream {
  readonly #limits: JsonStreamLimits
  /** The beginning of an object whose end has not arrived. */
  #unread = ''
  #depth = 0
  #inString = false
  #escaped = false

  constructor(limits: JsonStreamLimits) {
    this.#limits = limits
  }

  /**
   * Takes a piece of the stream and yields the texts of the objects that it completes.
   * @throws MalformedJsonStream; the stream cannot be used afterwards
   */
  *push(text: string): Generator<string> {
    let start = 0
    for (let at = 0; at < text.length; at += 1) {
      const character = text[at]!
      if (this.#depth === 0) {
        start = at
        if (isWhitespace(character)) continue
        if (character !== '{') throw new MalformedJsonStream('it is not a JSON object')
      }
      this.#note(character)
      if (this.#depth > 0) continue
      yield this.#grown(text.slice(start, at + 1))
      this.#unread = ''
    }
    if (this.#depth > 0) this.#unread = this.#grown(text.slice(start))
  }

  #note(character: string): void {
    if (this.#escaped) this.#escaped = false
    else if (this.#inString) {
      this.#escaped = character === '\\'
      this.#inString = character !== '"'
    } else if (character === '"') this.#inString = true
    else if (character === '{' || character === '[') this.#deeper()
    else if (character === '}' || character === ']') this.#depth -= 1
  }

  #deeper(): void {
    this.#depth += 1
    const { maxDepth } = this.#limits
    if (this.#depth > maxDepth) throw new MalformedJsonStream(`it nests deeper than ${maxDepth}`)
  }

  #grown(piece: string): string {
    const { maxCharacters } = this.#limits
    const grown = this.#unread + piece
    if (grown.length > maxCharacters) throw new MalformedJsonStream(`it has more than ${maxCharacters} characters`)
    return grown
  }
}

const isWhitespace = (character: string) => ' \t\r\n'.includes(character)
