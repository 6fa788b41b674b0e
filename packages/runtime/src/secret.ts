/** Secrets: a wrapper that prints as `***`, and comparisons in constant time. */
import { hash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

const MASK = '***'

/**
 * A password, token or key. Only `reveal()` returns the text; template strings, `JSON.stringify`, `console.log` and
 * the logger all print `***`.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** Returns the text. Call it only where the text is used. */
  reveal(): string {
    return this.#value
  }

  /** Whether `other` is the same text, compared in constant time. */
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

/** The SHA-256 digest of UTF-8 `text` as 64 lower-case hexadecimal digits, the form in which tokens are stored. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}

/** Whether `text` has this SHA-256 digest (hexadecimal, either case). False for a malformed digest. */
export function matchesSha256(text: string, digestHex: string): boolean {
  const digest = Buffer.from(digestHex, 'hex')
  return digest.length === 32 && digestHex.length === 64 && timingSafeEqual(sha256(text), digest)
}

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
