/**
 * Decrypts clients' tickets with the proxy's RSA keys, and encrypts tickets for hypervisors. The protocol fixes 1024-bit
 * keys and OAEP with SHA-1, so confidentiality must come from TLS.
 */
import { constants, createPublicKey, generateKeyPair, type KeyObject, privateDecrypt, publicEncrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { PUBLIC_KEY_BYTES } from './link.ts'

/** An RSA key pair for tickets. */
export interface TicketKey {
  /** DER, as sent in a link reply. */
  readonly publicKey: Buffer
  /**
   * Decrypts a ticket. Returns `undefined` if it was encrypted with another key, is not NUL-terminated, or is not 1–60
   * printable ASCII characters.
   */
  decrypt(encrypted: Buffer): string | undefined
}

export interface TicketKeys extends Disposable {
  /** The current key. A link that began with an older key completes with that one. */
  readonly current: TicketKey
}

const MODULUS_BITS = 1024
const RENEW_AFTER_MS = 3_600_000
/** The tickets that the proxy accepts. 60 is the protocol's SPICE_MAX_PASSWORD_LENGTH. */
const TICKET = /^[\x20-\x7e]{1,60}$/
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' } as const

/**
 * Creates a key now and replaces it every hour. Keys are never logged or stored.
 * @param failed called when a later key cannot be created; the current one is kept
 * @throws Error if this host cannot create such keys, for example in FIPS mode
 */
export async function createTicketKeys(
  failed: (cause: unknown) => void,
  renewAfterMs = RENEW_AFTER_MS,
): Promise<TicketKeys> {
  let current = await firstKey()
  const renew = async () => {
    current = await makeKey()
  }
  const timer = setInterval(() => renew().catch(failed), renewAfterMs).unref()
  return {
    get current() {
      return current
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

/**
 * Encrypts a ticket for a hypervisor.
 * @param publicKey the 162 bytes from its link reply
 * @param ticket at most 85 ASCII characters; empty if ticketing is off
 * @throws Error for a malformed key
 */
export function encryptTicket(publicKey: Buffer, ticket: string): Buffer {
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' })
  return publicEncrypt({ key, ...OAEP }, Buffer.from(`${ticket}\0`, 'latin1'))
}

async function firstKey(): Promise<TicketKey> {
  try {
    return await makeKey()
  } catch (cause) {
    throw new Error('Native SPICE needs 1024-bit RSA keys, but this host cannot create them (FIPS mode?)', { cause })
  }
}

async function makeKey(): Promise<TicketKey> {
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS, publicExponent: 0x10001 })
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'der' })
  if (publicKey.length !== PUBLIC_KEY_BYTES)
    throw new Error(`the RSA public key has ${publicKey.length} bytes as DER; SPICE needs ${PUBLIC_KEY_BYTES}`)
  return { publicKey, decrypt: (encrypted) => ticketOf(decrypted(pair.privateKey, encrypted)) }
}

function decrypted(key: KeyObject, encrypted: Buffer): Buffer | undefined {
  try {
    return privateDecrypt({ key, ...OAEP }, encrypted)
  } catch {
    // A padding error must look exactly like a wrong password, or the key becomes a decryption oracle.
    return undefined
  }
}

/** Returns the text before the first NUL, since spice-server compares tickets as C strings. */
function ticketOf(plain: Buffer | undefined): string | undefined {
  const end = plain?.indexOf(0) ?? -1
  const text = end < 0 ? '' : plain!.toString('latin1', 0, end)
  return TICKET.test(text) ? text : undefined
}
