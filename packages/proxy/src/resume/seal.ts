/**
 * Seals texts so that only proxies with the same key can read or make them: AES-256-GCM under keys that are derived from the
 * lines of `sessions.resume_key`. The first key seals, and all open, so that keys can be rotated.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { Secret } from '@oriel/runtime'

/** The first byte. Changes with the format of the sealed bytes, or of the text in them. */
const VERSION = 1
const KEY_ID_BYTES = 4
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES
const OVERHEAD_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
/** The longest text that is opened, which is also the longest cookie. Most tickets have about 400 characters. */
const MAX_LENGTH = 4096

interface Key {
  readonly id: Buffer
  readonly bytes: Buffer
}

/** Makes a random key, as one line. */
export const randomKey = (): Secret => new Secret(randomBytes(32).toString('base64url'))

export class Seal {
  #keys: readonly [Key, ...Key[]]

  /** @param keys one key a line; the first seals, and all open */
  constructor(keys: Secret) {
    this.#keys = keysOf(keys)
  }

  /** Replaces the keys. What was sealed with a key that is missing then does not open any more. */
  rekey(keys: Secret): void {
    this.#keys = keysOf(keys)
  }

  /** Seals `text` as base64url. @param purpose text that was sealed for another purpose does not open */
  seal(purpose: string, text: string): Secret {
    const [{ id, bytes }] = this.#keys
    const header = Buffer.concat([Buffer.of(VERSION), id])
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', bytes, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(authenticated(header, purpose))
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return new Secret(Buffer.concat([header, nonce, body, cipher.getAuthTag()]).toString('base64url'))
  }

  /** Returns the text, or `undefined` if it was not sealed with one of the keys for this purpose. */
  open(purpose: string, sealed: string): string | undefined {
    if (sealed.length > MAX_LENGTH) return undefined
    const bytes = Buffer.from(sealed, 'base64url')
    // Decoding ignores foreign characters and spare bits, so that many texts would be the same ticket.
    if (bytes.length < OVERHEAD_BYTES || bytes.toString('base64url') !== sealed) return undefined
    const header = bytes.subarray(0, HEADER_BYTES)
    const known = this.#keys.find(({ id }) => id.equals(header.subarray(1)))
    // Decrypts with any key if the id is unknown, so that the time does not tell which ids are in use.
    const text = decrypt((known ?? this.#keys[0]).bytes, bytes, authenticated(header, purpose))
    return known && header[0] === VERSION ? text : undefined
  }
}

function decrypt(key: Buffer, sealed: Buffer, aad: Buffer): string | undefined {
  const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const body = sealed.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES)
  try {
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

const authenticated = (header: Buffer, purpose: string) => Buffer.concat([header, Buffer.from(purpose)])

function keysOf(keys: Secret): readonly [Key, ...Key[]] {
  const lines = keys.reveal().split(/\s+/).filter(Boolean)
  return lines.map(keyOf) as [Key, ...Key[]]
}

const keyOf = (line: string): Key => ({
  id: derived(line, 'oriel resume key id', KEY_ID_BYTES),
  bytes: derived(line, 'oriel resume key', 32),
})

const derived = (line: string, info: string, length: number) => Buffer.from(hkdfSync('sha256', line, '', info, length))
