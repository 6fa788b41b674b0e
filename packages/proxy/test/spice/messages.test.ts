/** Framing, the message policy for clients, and the messages of the main channel, without a network. */
import { hex } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  commonForClient,
  commonForHypervisor,
  headerFormat,
  lacking,
  mainForHypervisor,
  serverCapabilities,
} from '../../src/spice/wire/capabilities.ts'
import { Framer, headerBytes, type Piece, withBody } from '../../src/spice/wire/framing.ts'
import {
  buildMigrationTarget,
  hideChannels,
  MalformedMessage,
  parseInit,
  parseMigrationTarget,
  parseName,
  parseUuid,
} from '../../src/spice/wire/main-messages.ts'
import { objection } from '../../src/spice/wire/message-policy.ts'
import { type ChannelName, channelNames, type HeaderFormat } from '../../src/spice/wire/protocol.ts'

const message = (format: HeaderFormat, type: number, body: Buffer) => {
  const header = Buffer.alloc(headerBytes[format])
  const at = format === 'mini' ? 0 : 8
  header.writeUInt16LE(type, at)
  header.writeUInt32LE(body.length, at + 2)
  return Buffer.concat([header, body])
}

describe('the framer', () => {
  const formats = fc.constantFrom<HeaderFormat>('mini', 'full')
  const messages = fc.array(fc.tuple(fc.nat(300), fc.uint8Array({ maxLength: 40 })), { minLength: 1, maxLength: 8 })
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 })

  it('CVE-2023-30575 length mis-count: returns every byte in pieces of single messages, however the stream is cut', () => {
    fc.assert(
      fc.property(formats, messages, cuts, (format, list, sizes) => {
        const wires = list.map(([type, body]) => message(format, type, Buffer.from(body)))
        const pieces = framed(format, Buffer.concat(wires), sizes)
        expect(Buffer.concat(pieces.map(({ bytes }) => bytes))).toEqual(Buffer.concat(wires))
        expect(wholes(pieces)).toEqual(wires)
        expect(pieces.filter(({ first }) => first).map((piece) => piece.message.type)).toEqual(
          list.map(([type]) => type),
        )
      }),
      { numRuns: 1000, seed: 2 },
    )
  })

  it('parses a stream of single bytes', () => {
    const wire = Buffer.concat([message('mini', 101, Buffer.from('abc')), message('mini', 2, Buffer.alloc(0))])
    const pieces = framed('mini', wire, [1])
    expect(wholes(pieces)).toEqual([wire.subarray(0, 9), wire.subarray(9)])
  })

  it('buffers only headers, whatever size is announced', () => {
    const framer = new Framer('mini')
    const [piece] = [...framer.push(hex('6500 ffffffff aabb'))]
    expect(piece).toMatchObject({ message: { type: 101, size: 0xffffffff }, first: true, last: false })
    expect(framer.atBoundary).toBe(false)
  })

  it('reports whether the stream is between two messages', () => {
    const framer = new Framer('mini')
    expect(framer.atBoundary).toBe(true)
    expect([...framer.push(hex('0200 0000'))]).toEqual([])
    expect(framer.atBoundary).toBe(false)
    expect([...framer.push(hex('0000'))]).toHaveLength(1)
    expect(framer.atBoundary).toBe(true)
  })

  it.each(['mini', 'full'] as const)('replaces a body behind a %s header', (format) => {
    const changed = withBody(message(format, 104, Buffer.alloc(9)), Buffer.from('new'), format)
    expect(wholes(framed(format, changed, [999]))).toEqual([message(format, 104, Buffer.from('new'))])
  })

  function framed(format: HeaderFormat, wire: Buffer, sizes: readonly number[]): Piece[] {
    const framer = new Framer(format)
    const pieces: Piece[] = []
    for (let at = 0, i = 0; at < wire.length; i++) {
      const size = sizes[i % sizes.length]!
      pieces.push(...framer.push(wire.subarray(at, at + size)))
      at += size
    }
    expect(framer.atBoundary).toBe(true)
    return pieces
  }

  function wholes(pieces: readonly Piece[]): Buffer[] {
    const found: Buffer[] = []
    for (const { bytes, first } of pieces) found.push(first ? bytes : Buffer.concat([found.pop()!, bytes]))
    return found
  }
})

describe('the message policy', () => {
  const judge = (channel: ChannelName, type: number, size: number, migrating = false) =>
    objection(channel, { type, size, subList: 0 }, migrating)

  const [KiB, MiB] = [1024, 1024 * 1024]
  /** The allowed messages of each channel, with the maximum size of their bodies. */
  const admitted: Readonly<Record<ChannelName, Readonly<Record<number, number>>>> = {
    main: { 101: 8, 104: 0, 105: 2, 106: 4, 107: 2048, 108: 4, 112: 4 },
    display: { 101: 14, 102: 32, 103: 1, 104: 0, 105: 64 },
    inputs: { 101: 4, 102: 4, 103: 2, 104: 64, 111: 10, 112: 11, 113: 3, 114: 3 },
    cursor: {},
    playback: {},
    record: { 101: 64 * KiB, 102: 64 * KiB, 103: 4 },
    smartcard: { 101: 64 * KiB },
    usbredir: { 101: 16 * MiB, 102: 16 * MiB },
    port: { 101: 16 * MiB, 102: 16 * MiB, 201: 1 },
    webdav: { 101: 16 * MiB, 102: 16 * MiB, 201: 1 },
  }
  const onEveryChannel = { 1: 4, 2: 0, 3: 12, 6: 12 }
  const rows = channelNames.flatMap((channel) =>
    Object.entries({ ...onEveryChannel, ...admitted[channel] }).map(
      ([type, bytes]) => [channel, Number(type), bytes] as const,
    ),
  )

  it.each(rows)('allows %s to send message %i with %i bytes, and not with one more', (channel, type, bytes) => {
    for (const migrating of [false, true]) {
      expect(judge(channel, type, bytes, migrating)).toBeUndefined()
      expect(judge(channel, type, bytes + 1, migrating)).toContain(`the maximum is ${bytes}`)
    }
  })

  it.each(channelNames)('allows %s no other message', (channel) => {
    const listed = new Set(rows.filter(([name]) => name === channel).map(([, type]) => type))
    const passing = Array.from({ length: 300 }, (_, type) => type).filter((type) => !judge(channel, type, 0))
    expect(new Set(passing)).toEqual(listed)
  })

  it.each([
    ['main', 107, 2049],
    ['main', 113, 0],
    ['main', 0, 0],
    ['display', 106, 0],
    ['inputs', 105, 0],
    ['inputs', 101, 5],
    ['cursor', 101, 0],
    ['playback', 101, 0],
    ['record', 101, 65537],
    ['usbredir', 101, 16 * 1024 * 1024 + 1],
    ['usbredir', 101, 0xffffffff],
    ['usbredir', 201, 1],
    ['port', 201, 2],
    ['port', 102, 0xfffffff0],
  ] as const)('forbids %s to send message %i with %i bytes, also during a migration', (channel, type, size) => {
    expect(judge(channel, type, size)).toBeDefined()
    expect(judge(channel, type, size, true)).toBeDefined()
  })

  it.each(channelNames)('allows %s to send FLUSH_MARK and MIGRATE_DATA only during a migration', (channel) => {
    for (const [type, size] of [
      [4, 0],
      [5, 4096],
    ] as const) {
      expect(judge(channel, type, size)).toBe('this message is allowed only during a live migration')
      expect(judge(channel, type, size, true)).toBeUndefined()
    }
  })

  it.each([
    ['main', 102, 0],
    ['main', 103, 0],
    ['main', 109, 0],
    ['main', 110, 4],
    ['main', 111, 0],
    ['cursor', 4, 0],
    ['cursor', 5, 16 * MiB],
  ] as const)(
    'allows %s to send message %i during a migration with %i bytes, and not with one more',
    (channel, type, bytes) => {
      expect(judge(channel, type, bytes, true)).toBeUndefined()
      expect(judge(channel, type, bytes + 1, true)).toContain(`the maximum is ${bytes}`)
    },
  )

  it.each([102, 103, 109, 110, 111])('allows only main to send message %i, and only during a migration', (type) => {
    expect(judge('main', type, type === 110 ? 4 : 0)).toBe('this message is allowed only during a live migration')
    expect(judge('main', type, type === 110 ? 4 : 0, true)).toBeUndefined()
    expect(judge('playback', type, 0, true)).toBe('clients never send this message on this channel')
  })

  it('forbids sub-messages, which the proxy does not parse', () => {
    expect(objection('inputs', { type: 101, size: 4, subList: 18 }, false)).toBe('the message contains sub-messages')
  })

  it('forbids a message type above all tables', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...channelNames),
        fc.integer({ min: 202, max: 65535 }),
        fc.boolean(),
        (name, type, migrating) => {
          expect(judge(name, type, 0, migrating)).toBeDefined()
        },
      ),
      { numRuns: 500, seed: 3 },
    )
  })
})

describe('messages of the main channel', () => {
  it('contain the session id', () => {
    const body = hex('b799d471 01000000 01000000 01000000 00000000 0a000000 a7e80f00 00e0ff02')
    expect(parseInit(body)).toBe(0x71d499b7)
    expect(() => parseInit(body.subarray(0, 31))).toThrow(MalformedMessage)
  })

  it('contain name and UUID', () => {
    expect(parseName(Buffer.concat([hex('06000000'), Buffer.from('web-1\0')]))).toBe('web-1')
    expect(() => parseName(hex('ffffffff 41'))).toThrow(MalformedMessage)
    expect(parseUuid(hex('52b2e44ee561464c88f32fc6a1ecea2b'))).toBe('52b2e44e-e561-464c-88f3-2fc6a1ecea2b')
    expect(() => parseUuid(Buffer.alloc(15))).toThrow(MalformedMessage)
  })

  it('list channels without the hidden ones, and always with main', () => {
    const list = hex('05000000 0100 0200 0900 0901 0b00')
    expect(hideChannels(list, new Set(['usbredir', 'main']))).toEqual(hex('03000000 0100 0200 0b00'))
    expect(hideChannels(list, new Set())).toEqual(list)
    expect(() => hideChannels(hex('02000000 0100'), new Set())).toThrow(MalformedMessage)
    expect(() => hideChannels(hex('ffffffff 0100'), new Set())).toThrow(MalformedMessage)
  })

  const captured = Buffer.concat([
    hex('10b8 11b8 0a000000 18000000 1a000000 22000000 01000000'),
    Buffer.from('127.0.0.1\0C=AU,O=Cloud,CN=compute-2\0'),
  ])

  it('contain the target of a seamless migration, as captured', () => {
    const target = parseMigrationTarget(captured, true)
    expect(target).toEqual({
      port: 47120,
      tlsPort: 47121,
      host: '127.0.0.1',
      subject: 'C=AU,O=Cloud,CN=compute-2',
      version: 1,
    })
    expect(buildMigrationTarget(target)).toEqual(captured)
  })

  it('have no offset for an empty subject', () => {
    const body = buildMigrationTarget({ port: 0, tlsPort: 5901, host: 'console.example', subject: '' })
    expect(body.subarray(0, 20)).toEqual(hex('0000 0d17 10000000 14000000 00000000 00000000'))
    expect(parseMigrationTarget(body, false)).toMatchObject({
      port: 0,
      tlsPort: 5901,
      host: 'console.example',
      subject: '',
    })
  })

  it('are refused when they are cut, or a text lies outside', () => {
    for (let length = 0; length < captured.length; length++) {
      expect(() => parseMigrationTarget(captured.subarray(0, length), true)).toThrow(MalformedMessage)
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), fc.boolean(), (bytes, seamless) => {
        try {
          parseMigrationTarget(Buffer.from(bytes), seamless)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage)
        }
      }),
      { numRuns: 1000, seed: 4 },
    )
  })
})

describe('capabilities', () => {
  it('for the client are a ticket and the bits that it requested, without SASL', () => {
    expect(commonForClient([0x0d])).toEqual([0x0b])
    expect(commonForClient([0x09])).toEqual([0x0b])
    expect(commonForClient([0x05])).toEqual([0x03])
    expect(commonForClient([])).toEqual([0x02])
  })

  it("for the hypervisor are the client's, with a ticket instead of SASL", () => {
    expect(commonForHypervisor([0x0d, 7])).toEqual([0x0b, 7])
    expect(commonForHypervisor([])).toEqual([0x02])
  })

  it('select the same header format on both legs', () => {
    for (const word of [0, 1, 8, 9, 0x0d]) {
      expect(headerFormat(commonForClient([word]))).toBe(headerFormat(commonForHypervisor([word])))
    }
  })

  it('of the main channel request the UUID, and omit migration if no host is allowed', () => {
    expect(mainForHypervisor([0x04, 9], { identify: true, migrate: true })).toEqual([0x06, 9])
    expect(mainForHypervisor([0x0f], { identify: true, migrate: false })).toEqual([0x06])
    expect(mainForHypervisor([], { identify: false, migrate: false })).toEqual([0])
  })

  it('of the table are compared with those of the hypervisor', () => {
    expect(lacking(serverCapabilities.display, [0x1052])).toBeUndefined()
    expect(lacking(serverCapabilities.display, [0x0052])).toEqual([0x1000])
    expect(lacking(serverCapabilities.inputs, [])).toEqual([1])
    expect(lacking(serverCapabilities.cursor, [])).toBeUndefined()
  })
})
