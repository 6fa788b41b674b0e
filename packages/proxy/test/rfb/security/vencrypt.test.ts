import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { securityType } from '../../../src/rfb/security/index.ts'
import { subtypes } from '../../../src/rfb/security/vencrypt.ts'
import { bytewise, play as playServer, TLS } from './played-server.ts'

const [vencrypt, none] = [securityType('vencrypt'), securityType('none')]
const version = (text: string) => Buffer.from(`RFB ${text}\n`)
const u32 = (value: number) => Buffer.of(0, 0, value >> 8, value & 255)
const list = (...codes: number[]) => Buffer.concat([Buffer.of(codes.length), ...codes.map(u32)])

/** The messages of a correct server before TLS, and the bytes that it receives after each. */
const turns = [
  [version('003.008'), version('003.008')],
  [Buffer.of(1, 19), Buffer.of(19)],
  [Buffer.of(0, 2), Buffer.of(0, 2)],
  [Buffer.concat([Buffer.of(0), list(260)]), u32(260)],
  [Buffer.of(1), Buffer.alloc(0)],
] as const
const GOOD = Buffer.concat(turns.map(([said]) => said))
const HEARD = Buffer.concat(turns.map(([, heard]) => heard))

/** Plays a server to a proxy that accepts VeNCrypt; TLS is followed by SecurityResult 0. */
const play = (pieces: readonly Uint8Array[], accepted = [vencrypt], inTls: readonly Uint8Array[] = [u32(0)]) =>
  playServer(pieces, accepted, inTls)
const withSubtypes = (subtypeList: Buffer) =>
  Buffer.concat([...turns.slice(0, 3).map(([said]) => said), Buffer.of(0), subtypeList, Buffer.of(1)])

describe('VeNCrypt before TLS', () => {
  it('negotiates version 0.2 and X509None byte by byte before TLS starts', async () => {
    const { error, written } = await play(bytewise(GOOD))
    expect(error).toBeUndefined()
    expect(written).toEqual(Buffer.concat([HEARD, TLS]))
  })

  it('reads SecurityResult inside TLS, and keeps the bytes after it', async () => {
    const { error, rest } = await play([GOOD], [vencrypt], [Buffer.concat([u32(0), Buffer.from('more')])])
    expect(error).toBeUndefined()
    expect(rest.toString()).toBe('more')
  })

  it('reports the reason of a refusal inside TLS', async () => {
    const refusal = Buffer.concat([u32(1), u32(4), Buffer.from('busy')])
    expect((await play([GOOD], [vencrypt], bytewise(refusal))).error?.message).toBe('the hypervisor refused: "busy"')
  })

  it('reports a refusal of RFB 3.7, which has no reason', async () => {
    const said = Buffer.concat([version('003.007'), GOOD.subarray(12)])
    expect((await play([said])).error).toBeUndefined()
    expect((await play([said], [vencrypt], [u32(1)])).error?.message).toBe(
      'the hypervisor rejected security type VeNCrypt (19): result 1',
    )
  })

  it('answers a newer server with 0.2', async () => {
    const newer = Buffer.from(GOOD)
    newer.set([0, 3], 14)
    const { error, written } = await play([newer])
    expect(error).toBeUndefined()
    expect(written).toEqual(Buffer.concat([HEARD, TLS]))
  })

  it('CVE-2023-3354 disconnect in handshake: fails after any byte, before and inside TLS', async () => {
    for (let length = 0; length < GOOD.length; length += 1) {
      const { error } = await play([GOOD.subarray(0, length)])
      expect(error?.message, `after ${length} bytes`).toBe('it ended')
    }
    for (let length = 0; length < 4; length += 1) {
      expect((await play([GOOD], [vencrypt], [u32(0).subarray(0, length)])).error?.message).toBe('it ended')
    }
  })

  it.each([
    ['speaks VeNCrypt 0.1', [...GOOD.subarray(0, 14), 0, 1], 'the hypervisor speaks VeNCrypt 0.1, but 0.2 is required'],
    ['refuses the version', [...GOOD.subarray(0, 16), 255], 'the hypervisor rejected VeNCrypt 0.2: result 255'],
    [
      'offers no subtype',
      [...withSubtypes(list())],
      'the hypervisor offers no VeNCrypt subtype; only X509None (260) is supported',
    ],
    [
      'offers TLS without certificates',
      [...withSubtypes(list(257, 258, 261, 2, 999))],
      'the hypervisor offers TLSNone (257), TLSVnc (258), X509Vnc (261), VncAuthentication (2), 999; only X509None (260) is supported, or X509Vnc (261) with hypervisor.vnc.password, or a password in the source of the server (with oriel-api)',
    ],
    [
      'refuses the subtype',
      [...GOOD.subarray(0, -1), 0],
      'the hypervisor rejected the VeNCrypt subtype X509None: result 0',
    ],
    [
      'speaks RFB 3.3',
      [...version('003.003'), 0, 0, 0, 19],
      'the hypervisor speaks RFB 3.3, which has no VeNCrypt, and chose VeNCrypt (19); configured are VeNCrypt (19)',
    ],
    ['offers only None', [...version('003.008'), 1, 1], 'the hypervisor offers None (1); configured are VeNCrypt (19)'],
  ])('CVE-2023-43826 hostile server: rejects a server that %s', async (_, said, message) => {
    for (const pieces of [[Buffer.from(said)], bytewise(Buffer.from(said))]) {
      const { error, written } = await play(pieces)
      expect(error).toMatchObject({ name: 'SecurityFailed', message })
      expect(written.includes(TLS)).toBe(false)
    }
  })

  it.each([
    ['vencrypt, none', [vencrypt, none], 19],
    ['none, vencrypt', [none, vencrypt], 1],
  ])('chooses by the operator’s order %s, whatever the server’s order', async (_, accepted, chosen) => {
    for (const offer of [Buffer.of(2, 1, 19), Buffer.of(2, 19, 1)]) {
      const { written } = await play([Buffer.concat([version('003.008'), offer])], accepted)
      expect(written[12]).toBe(chosen)
    }
  })

  it('CVE-2023-30575 length mis-count: reads a list of subtypes in any pieces to its end and no further', async () => {
    const code = fc.oneof(fc.constantFrom(...Object.values(subtypes)), fc.nat(0xffff))
    await fc.assert(
      fc.asyncProperty(fc.array(code, { maxLength: 255, size: 'max' }), fc.array(fc.nat(1100)), async (codes, cuts) => {
        const said = withSubtypes(list(...codes))
        const { error, written } = await play(cut(said, cuts))
        expect(error === undefined).toBe(codes.includes(260))
        expect(written.includes(TLS)).toBe(codes.includes(260))
      }),
      { numRuns: 60 },
    )
  })

  it('CVE-2023-43826 hostile server: settles for arbitrary bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(GOOD.length), fc.uint8Array({ maxLength: 1500 }), async (kept, junk) => {
        const { written } = await play([GOOD.subarray(0, kept), junk], [vencrypt, none], [junk])
        expect(written.length).toBeLessThanOrEqual(HEARD.length + TLS.length)
      }),
      { numRuns: 200 },
    )
  })
})

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((at) => at % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}
