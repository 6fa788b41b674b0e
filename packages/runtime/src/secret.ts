/** Values that must never be printed: a wrapper that shows `***` wherever text is made of it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

const MASK = '***'

/**
 * A password, token or key. Only `reveal()` gives the text back; template strings, `JSON.stringify`, `console.log` and
 * the logger all print `***`.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The text itself. Call it where the text is used, and nowhere earlier. */
  reveal(): string {
    return this.#value
  }

  /** Whether `other` is the same text; the time taken tells nothing about where the two differ. */
  equals(other: string): boolean {
    return timingSafeEqual(sha256(this.#value), sha256(other))
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}

/** The SHA-256 digest of UTF-8 `text` as 64 lower-case hexadecimal digits: the form in which tokens are stored. */
export function sha256Hex(text: string): string {
  return sha256(text).toString('hex')
}

/** Whether `text` has this SHA-256 digest (hexadecimal, either case); false for a digest that is malformed. */
export function matchesSha256(text: string, digestHex: string): boolean {
  const digest = Buffer.from(digestHex, 'hex')
  return digest.length === 32 && digestHex.length === 64 && timingSafeEqual(sha256(text), digest)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}
