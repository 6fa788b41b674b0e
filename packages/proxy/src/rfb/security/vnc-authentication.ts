/**
 * Security type VNC Authentication (RFC 6143 section 7.2.2): the server sends a challenge, and the client returns it
 * encrypted with DES under the password. It neither protects what follows nor authenticates the server.
 */
import { createCipheriv } from 'node:crypto'
import type { Secret } from '@oriel/runtime'
import { securityTypes } from '../wire/protocol.ts'
import { type HandshakeStream, SecurityFailed, type SecurityType } from './security-type.ts'

const CHALLENGE_BYTES = 16
/** Later bytes of a password have no effect. */
const KEY_BYTES = 8

/** Where a password may come from. For messages about a server that requires one. */
export const PASSWORD_REMEDY = 'hypervisor.vnc.password, or a password in the source of the server (with oriel-api)'

/** @param password Default: none, and the server is refused */
export const vncAuthentication = (password?: Secret): SecurityType => ({
  number: securityTypes.VncAuthentication,
  secure: async (stream) => {
    if (!password) throw new SecurityFailed(`the hypervisor requires a VNC password: set ${PASSWORD_REMEDY}`)
    await answerChallenge(stream, password)
  },
})

/** Reads the challenge and sends the response to it. */
export async function answerChallenge({ reader, write }: HandshakeStream, password: Secret): Promise<void> {
  const challenge = await reader.read(CHALLENGE_BYTES)
  const key = keyOf(password)
  // Triple DES with three equal keys is DES, which OpenSSL 3 has only in its legacy provider.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false)
  write(Buffer.concat([cipher.update(challenge), cipher.final()]))
}

/** The key's bytes have their bits in reverse order (erratum 4951 of RFC 6143). */
function keyOf(password: Secret): Buffer {
  const key = Buffer.alloc(KEY_BYTES)
  Buffer.from(password.reveal()).copy(key)
  return key.map(reverseBits) as Buffer
}

function reverseBits(byte: number): number {
  let reversed = 0
  for (let bit = 0; bit < 8; bit += 1) reversed |= ((byte >> bit) & 1) << (7 - bit)
  return reversed
}
