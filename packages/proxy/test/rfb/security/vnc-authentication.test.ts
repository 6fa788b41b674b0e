import { Secret } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { securityType } from '../../../src/rfb/security/index.ts'
import type { SecurityType } from '../../../src/rfb/security/security-type.ts'
import { bytewise, play as playServer, TLS } from './played-server.ts'

const PASSWORD = new Secret('correct horse')
const CHALLENGE = Buffer.from(Array.from({ length: 16 }, (_, i) => i))
/** By `openssl enc -des-ecb -provider legacy -provider default -K c6f64e4ea6c62e04 -nopad`: the first 8 bytes, bits reversed. */
const RESPONSE = Buffer.from('591f61c9fc3f72de127abbd3b80b0a08', 'hex')
const OK = Buffer.alloc(4)
const version = (text: string) => Buffer.from(`RFB ${text}\n`)

/** Plays a server byte by byte. */
async function play(said: readonly Buffer[], accepted: readonly SecurityType[], inTls: Buffer = Buffer.alloc(0)) {
  const { error, written } = await playServer(bytewise(Buffer.concat(said)), accepted, bytewise(inTls))
  return { error: error?.message, written }
}

const vncAuth = [securityType('vnc_auth', PASSWORD)]

describe('VNC Authentication', () => {
  it.each([
    ['3.8', [version('003.008'), Buffer.of(1, 2), CHALLENGE, OK], [version('003.008'), Buffer.of(2), RESPONSE]],
    ['3.7', [version('003.007'), Buffer.of(1, 2), CHALLENGE, OK], [version('003.007'), Buffer.of(2), RESPONSE]],
    ['3.3', [version('003.003'), Buffer.of(0, 0, 0, 2), CHALLENGE, OK], [version('003.003'), RESPONSE]],
  ])('encrypts the challenge and awaits SecurityResult in RFB %s', async (_, said, heard) => {
    expect(await play(said, vncAuth)).toEqual({ error: undefined, written: Buffer.concat(heard) })
  })

  it('pads a short password with zeros', async () => {
    const said = [version('003.008'), Buffer.of(1, 2), CHALLENGE, OK]
    const { written } = await play(said, [securityType('vnc_auth', new Secret('abc'))])
    // -K 8646c60000000000
    expect(written.subarray(-16).toString('hex')).toBe('9c22b4f2088c3465a1562c4b9d6edb04')
  })

  it('is refused without a password, with every place where one may be set', async () => {
    const said = [version('003.008'), Buffer.of(1, 2), CHALLENGE, OK]
    const { error, written } = await play(said, [securityType('vnc_auth')])
    expect(error).toBe(
      'the hypervisor requires a VNC password: set hypervisor.vnc.password, or a password in the source of the server (with oriel-api)',
    )
    expect(written).toEqual(Buffer.concat([version('003.008'), Buffer.of(2)]))
    // A server without a password needs none.
    const none = await play([version('003.008'), Buffer.of(1, 1), OK], [securityType('vnc_auth'), securityType('none')])
    expect(none.error).toBeUndefined()
  })

  it('reports the reason for which a server rejects the password', async () => {
    const reason = Buffer.from('Authentication failed\0')
    const rejection = Buffer.concat([Buffer.of(0, 0, 0, 1, 0, 0, 0, reason.length), reason])
    const { error } = await play([version('003.008'), Buffer.of(1, 2), CHALLENGE, rejection], vncAuth)
    expect(error).toBe('the hypervisor refused: "Authentication failed"')
  })

  it('is used only if the configuration has the scheme, whatever the server prefers', async () => {
    const said = [version('003.008'), Buffer.of(2, 2, 1), CHALLENGE, OK]
    const none = await play([version('003.008'), Buffer.of(2, 2, 1), OK], [securityType('none', PASSWORD)])
    expect(none.written.subarray(12)).toEqual(Buffer.of(1))
    const both = await play(said, [...vncAuth, securityType('none')])
    expect(both.written.subarray(12, 13)).toEqual(Buffer.of(2))
    const refused = await play([version('003.008'), Buffer.of(1, 2)], [securityType('vencrypt', PASSWORD)])
    expect(refused.error).toBe('the hypervisor offers VncAuthentication (2); configured are VeNCrypt (19)')
  })
})

describe('VeNCrypt with a password', () => {
  const subtypes = (...codes: number[]) =>
    Buffer.concat([Buffer.of(0, codes.length), ...codes.map((code) => Buffer.of(0, 0, code >> 8, code & 255))])
  const dialogue = (...codes: number[]) => [version('003.008'), Buffer.of(1, 19), Buffer.of(0, 2), subtypes(...codes)]
  const vencrypt = [securityType('vencrypt', PASSWORD)]

  it('encrypts the challenge inside TLS only, for X509Vnc', async () => {
    const { error, written } = await play([...dialogue(261), Buffer.of(1)], vencrypt, Buffer.concat([CHALLENGE, OK]))
    expect(error).toBeUndefined()
    const [plain, secured] = written.toString('latin1').split(TLS.toString())
    expect(Buffer.from(plain!, 'latin1').subarray(-4)).toEqual(Buffer.of(0, 0, 1, 5))
    expect(Buffer.from(secured!, 'latin1')).toEqual(RESPONSE)
  })

  it('uses X509None where the server offers it, and never a subtype without certificates', async () => {
    const { error, written } = await play([...dialogue(261, 260), Buffer.of(1)], vencrypt, OK)
    expect(error).toBeUndefined()
    expect(written.subarray(-9, -5)).toEqual(Buffer.of(0, 0, 1, 4))
    const { error: refused } = await play(dialogue(258, 256), vencrypt)
    expect(refused).toBe(
      'the hypervisor offers TLSVnc (258), Plain (256); only X509None (260) and X509Vnc (261) are supported',
    )
  })
})
