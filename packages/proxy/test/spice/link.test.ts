/** The link messages, compared with bytes captured between remote-viewer 11 and QEMU 7.2, truncated and corrupted. */
import { byteByByte, duplexPair, hex } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  buildLinkErrorReply,
  buildLinkMessage,
  buildLinkReply,
  HEADER_BYTES,
  LinkFault,
  type LinkMessage,
  parseClientHeader,
  parseLinkMessage,
  parseLinkReply,
  parseServerHeader,
} from '../../src/spice/wire/link.ts'
import { linkErrors } from '../../src/spice/wire/protocol.ts'
import { SocketEnded, SocketReader } from '../../src/spice/wire/socket-reader.ts'

const MAIN = hex('52454451 02000000 02000000 1a000000 00000000 01 00 01000000 01000000 12000000 0d000000 0f000000')
const USBREDIR = hex('52454451 02000000 02000000 1a000000 b799d471 09 01 01000000 01000000 12000000 0d000000 01000000')
const main: LinkMessage = { connectionId: 0, channelType: 1, channelId: 0, common: [0x0d], channel: [0x0f] }
const usbredir: LinkMessage = { connectionId: 0x71d499b7, channelType: 9, channelId: 1, common: [0x0d], channel: [1] }

const parse = (bytes: Buffer) => parseLinkMessage(bytes.subarray(HEADER_BYTES))
const faultOf = (act: () => unknown) => {
  try {
    act()
  } catch (error) {
    if (error instanceof LinkFault) return error.linkError
    throw error
  }
  return undefined
}

describe('a link message', () => {
  it.each([
    ['main', MAIN, main],
    ['a second usbredir', USBREDIR, usbredir],
  ])('of %s is parsed and built byte for byte as captured', (_name, bytes, message) => {
    expect(parseClientHeader(bytes.subarray(0, HEADER_BYTES))).toBe(bytes.length - HEADER_BYTES)
    expect(parse(bytes)).toEqual(message)
    expect(buildLinkMessage(message)).toEqual(bytes)
  })

  it('keeps every capability word when it is parsed and built', () => {
    const many = { ...main, common: [0xffffffff, 2], channel: [3, 4, 0x80000000] }
    expect(parse(buildLinkMessage(many))).toEqual(many)
  })

  it('is read from single bytes, and leaves the bytes after it in the stream', async () => {
    const [near, far] = duplexPair()
    const reader = new SocketReader(byteByByte(near))
    far.write(Buffer.concat([MAIN, hex('01000000')]))
    const size = parseClientHeader(await reader.read(HEADER_BYTES))
    expect(parseLinkMessage(await reader.read(size))).toEqual(main)
    expect(await reader.read(4)).toEqual(hex('01000000'))
  })

  it.each(Array.from(MAIN.keys()))('that ends after %i bytes is reported as a closed connection', async (length) => {
    const [near, far] = duplexPair()
    const reader = new SocketReader(near)
    far.end(MAIN.subarray(0, length))
    const read = async () => parseLinkMessage(await reader.read(parseClientHeader(await reader.read(HEADER_BYTES))))
    await expect(read()).rejects.toBeInstanceOf(SocketEnded)
  })

  it.each(Array.from({ length: 26 }, (_, i) => i))(
    'with a body of only %i bytes is refused as invalid data',
    (length) => {
      expect(faultOf(() => parseLinkMessage(MAIN.subarray(HEADER_BYTES, HEADER_BYTES + length)))).toBe('invalid_data')
    },
  )

  it.each([
    ['another magic', 0, hex('52454452'), 'invalid_magic'],
    ['another major version', 4, hex('01000000'), 'version_mismatch'],
    ['a size below 18', 12, hex('11000000'), 'invalid_data'],
    ['a size above 4096', 12, hex('01100000'), 'invalid_data'],
    ['a size of 2³²−1', 12, hex('ffffffff'), 'invalid_data'],
  ] as const)('with %s is refused with the matching link error', (_name, at, bytes, answer) => {
    const header = Buffer.from(MAIN.subarray(0, HEADER_BYTES))
    bytes.copy(header, at)
    expect(faultOf(() => parseClientHeader(header))).toBe(answer)
  })

  it('with another minor version is accepted, as by spice-server', () => {
    const header = Buffer.from(MAIN.subarray(0, HEADER_BYTES))
    header.writeUInt32LE(99, 8)
    expect(parseClientHeader(header)).toBe(26)
  })

  it.each([
    ['33 common words', 6, 33],
    ['2³²−1 channel words, whose size overflows', 10, 0xffffffff],
    ['2³⁰ words, whose size overflows to 0', 10, 0x40000000],
    ['one word more than the body contains', 10, 2],
    ['capabilities inside the fixed part', 14, 17],
    ['capabilities behind the end', 14, 27],
    ['an offset of 2³²−1', 14, 0xffffffff],
  ])('with %s is refused as invalid data', (_name, at, value) => {
    const body = Buffer.from(MAIN.subarray(HEADER_BYTES))
    body.writeUInt32LE(value, at)
    expect(faultOf(() => parseLinkMessage(body))).toBe('invalid_data')
  })

  it('CVE-2023-30575 length mis-count: is parsed or refused for arbitrary bytes', () => {
    const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
    const bent = fc.tuple(fc.nat(25), fc.nat(255)).map(([at, byte]) => {
      const bytes = Buffer.from(MAIN.subarray(HEADER_BYTES))
      bytes[at] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(body, bent), (bytes) => {
        const answer = faultOf(() => parseLinkMessage(bytes))
        if (answer !== undefined) return answer === 'invalid_data'
        const message = parseLinkMessage(bytes)
        expect(18 + 4 * (message.common.length + message.channel.length)).toBeLessThanOrEqual(bytes.length)
        expect(parse(buildLinkMessage(message))).toEqual(message)
        return true
      }),
      { numRuns: 3000, seed: 1 },
    )
  })
})

describe('a link reply', () => {
  const publicKey = Buffer.concat([
    hex('30819f300d06092a864886f70d010101050003818d0030818902818100'),
    Buffer.alloc(128, 7),
    hex('0203010001'),
  ])
  const accepted = { publicKey, common: [0x0b], channel: [0x0f] }

  it('is built with the length, offsets and words of the captured one', () => {
    const bytes = buildLinkReply(accepted)
    expect(bytes.length).toBe(202)
    expect(bytes.subarray(0, 20)).toEqual(hex('52454451 02000000 02000000 ba000000 00000000'))
    expect(bytes.subarray(182)).toEqual(hex('01000000 01000000 b2000000 0b000000 0f000000'))
    expect(parseServerHeader(bytes)).toBe(186)
    expect(parseLinkReply(bytes.subarray(HEADER_BYTES))).toEqual({ error: 0, ...accepted })
  })

  it('without channel capabilities has no word for them', () => {
    const bytes = buildLinkReply({ ...accepted, channel: [] })
    expect(bytes.subarray(182)).toEqual(hex('01000000 00000000 b2000000 0b000000'))
  })

  it('with an error is zero in all other fields', () => {
    const bytes = buildLinkErrorReply('permission_denied')
    expect(bytes).toEqual(Buffer.concat([hex('52454451 02000000 02000000 b2000000 07000000'), Buffer.alloc(174)]))
    expect(parseLinkReply(bytes.subarray(HEADER_BYTES)).error).toBe(linkErrors.permission_denied)
  })

  it.each(Array.from({ length: 186 }, (_, i) => i))('that is cut to %i bytes is refused as invalid data', (length) => {
    const body = buildLinkReply(accepted).subarray(HEADER_BYTES, HEADER_BYTES + length)
    expect(faultOf(() => parseLinkReply(body))).toBe('invalid_data')
  })

  it.each([
    ['177 bytes', 177],
    ['4097 bytes', 4097],
  ])('with a body of %s is refused by its header', (_name, size) => {
    const header = Buffer.from(buildLinkReply(accepted).subarray(0, HEADER_BYTES))
    header.writeUInt32LE(size, 12)
    expect(faultOf(() => parseServerHeader(header))).toBe('invalid_data')
  })
})
