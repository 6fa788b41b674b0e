import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { performClientHandshake } from '../../src/rfb/client-handshake.ts'
import { performHypervisorHandshake } from '../../src/rfb/hypervisor-handshake.ts'
import { none } from '../../src/rfb/security/none.ts'
import type { HypervisorStream } from '../../src/rfb/security/security-type.ts'
import { commonVersion } from '../../src/rfb/wire/protocol.ts'
import { ByteReader } from '../../src/rfb/wire/reader.ts'

const never = new AbortController().signal
const ascii = (text: string) => Buffer.from(text, 'latin1')
const V33 = 'RFB 003.003\n'
const V37 = 'RFB 003.007\n'
const V38 = 'RFB 003.008\n'
const reason = (text: string) => Buffer.concat([Buffer.of(0, 0, 0, text.length), ascii(text)])

/** Feeds `input` piece by piece, one per turn, then the end. Returns the written and the unread bytes. */
async function play(shake: (stream: Stream) => Promise<void>, pieces: readonly Uint8Array[]) {
  const reader = new ByteReader({ maxBytes: 4096, signal: never })
  const written: Buffer[] = []
  const write = (bytes: Uint8Array) => void written.push(Buffer.from(bytes))
  const shaken = shake({ reader, write, startTls: () => Promise.reject(new Error('TLS begins')) })
  const outcome = shaken.then(
    () => undefined,
    (error: unknown) => error as Error,
  )
  for (const piece of pieces) {
    reader.push(piece)
    await turn()
  }
  reader.fail(new Error('the peer ended'))
  return { error: await outcome, written: Buffer.concat(written), rest: reader.rest() }
}
type Stream = HypervisorStream
const turn = () => new Promise((resolve) => setImmediate(resolve))
const bytewise = (bytes: Buffer) => [...bytes].map((byte) => Buffer.of(byte))
const hypervisor = (stream: Stream) => performHypervisorHandshake(stream, [none])

const servers = [
  { name: '3.8', said: Buffer.concat([ascii(V38), Buffer.of(2, 2, 1), Buffer.of(0, 0, 0, 0)]), heard: `${V38}\x01` },
  { name: '3.7', said: Buffer.concat([ascii(V37), Buffer.of(2, 2, 1)]), heard: `${V37}\x01` },
  { name: '3.3', said: Buffer.concat([ascii(V33), Buffer.of(0, 0, 0, 1)]), heard: V33 },
  { name: '3.5, which is 3.3', said: Buffer.concat([ascii('RFB 003.005\n'), Buffer.of(0, 0, 0, 1)]), heard: V33 },
  { name: '3.889', said: Buffer.concat([ascii('RFB 003.889\n'), Buffer.of(1, 1, 0, 0, 0, 0)]), heard: `${V38}\x01` },
]

describe('the RFB handshake with the hypervisor', () => {
  for (const { name, said, heard } of servers) {
    it(`completes the handshake of RFB ${name}, byte by byte`, async () => {
      const { error, written, rest } = await play(hypervisor, bytewise(said))
      expect(error).toBeUndefined()
      expect(written.toString('latin1')).toBe(heard)
      expect(rest).toHaveLength(0)
    })

    it(`keeps the bytes after the handshake of RFB ${name} in the same piece`, async () => {
      const { error, rest } = await play(hypervisor, [Buffer.concat([said, ascii('more')])])
      expect(error).toBeUndefined()
      expect(rest.toString()).toBe('more')
    })

    it(`CVE-2023-3354 disconnect in handshake: fails when the peer disconnects after any byte of RFB ${name}`, async () => {
      for (let length = 0; length < said.length; length += 1) {
        const { error } = await play(hypervisor, [said.subarray(0, length)])
        expect(error?.message, `after ${length} bytes`).toBe('the peer ended')
      }
    })
  }

  const refusals = [
    { name: 'does not speak RFB', said: ascii('SSH-2.0-OpenS'), error: 'NotRfb' },
    { name: 'speaks a version before 3.3', said: ascii('RFB 002.000\n'), error: 'NotRfb' },
    { name: 'refuses at 3.8', said: Buffer.concat([ascii(V38), Buffer.of(0), reason('no')]), error: 'SecurityFailed' },
    {
      name: 'refuses at 3.3',
      said: Buffer.concat([ascii(V33), Buffer.alloc(4), reason('no')]),
      error: 'SecurityFailed',
    },
    { name: 'offers only a password', said: Buffer.concat([ascii(V38), Buffer.of(1, 2)]), error: 'SecurityFailed' },
    {
      name: 'chooses a password',
      said: Buffer.concat([ascii(V33), Buffer.of(0, 0, 0, 2)]),
      error: 'SecurityFailed',
    },
    {
      name: 'fails after the choice of a type',
      said: Buffer.concat([ascii(V38), Buffer.of(1, 1, 0, 0, 0, 1), reason('busy')]),
      error: 'SecurityFailed',
    },
    {
      name: 'announces a reason of 4 GiB',
      said: Buffer.concat([ascii(V38), Buffer.of(0, 255, 255, 255, 255), Buffer.alloc(600, 65)]),
      error: 'SecurityFailed',
    },
  ]
  for (const { name, said, error: wanted } of refusals) {
    it(`CVE-2023-43826 hostile server: rejects a server that ${name}`, async () => {
      expect((await play(hypervisor, bytewise(said))).error?.name).toBe(wanted)
    })
  }

  it('puts the reason into the error, truncated and escaped', async () => {
    const said = Buffer.concat([ascii(V38), Buffer.of(0), reason('a\nb\u0001')])
    expect((await play(hypervisor, [said])).error?.message).toBe(String.raw`the hypervisor refused: "a\nb\u0001"`)
  })

  it('CVE-2023-30575 length mis-count: reads a list of types in any pieces to its end and no further', async () => {
    const types = fc.uint8Array({ minLength: 1, maxLength: 255, size: 'max' }).filter((list) => list.includes(1))
    await fc.assert(
      fc.asyncProperty(types, fc.array(fc.nat(300)), fc.uint8Array({ maxLength: 50 }), async (list, cuts, after) => {
        const said = Buffer.concat([ascii(V38), Buffer.of(list.length), list, Buffer.alloc(4), after])
        const { error, rest } = await play(hypervisor, cut(said, cuts))
        expect(error).toBeUndefined()
        expect([...rest]).toEqual([...after])
      }),
      { numRuns: 60 },
    )
  })

  it('CVE-2023-43826 hostile server: settles for arbitrary bytes', async () => {
    const junk = fc.uint8Array({ maxLength: 600 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('', V33, V37, V38), junk, async (greeting, bytes) => {
        const { written } = await play(hypervisor, [Buffer.concat([ascii(greeting), bytes])])
        expect(written.length).toBeLessThanOrEqual(13)
      }),
      { numRuns: 200 },
    )
  })
})

const clients = [
  { name: '3.8', said: Buffer.concat([ascii(V38), Buffer.of(1)]), heard: [...ascii(V38), 1, 1, 0, 0, 0, 0] },
  { name: '3.7', said: Buffer.concat([ascii(V37), Buffer.of(1)]), heard: [...ascii(V38), 1, 1] },
  { name: '3.3', said: ascii(V33), heard: [...ascii(V38), 0, 0, 0, 1] },
]

describe('the RFB handshake with the client', () => {
  for (const { name, said, heard } of clients) {
    it(`completes the handshake of RFB ${name}, byte by byte`, async () => {
      const { error, written } = await play(performClientHandshake, bytewise(said))
      expect(error).toBeUndefined()
      expect([...written]).toEqual(heard)
    })

    it(`keeps the bytes after the handshake of RFB ${name} for the relay`, async () => {
      const { error, rest } = await play(performClientHandshake, [Buffer.concat([said, Buffer.of(1, 0)])])
      expect(error).toBeUndefined()
      expect([...rest]).toEqual([1, 0])
    })

    it(`CVE-2023-3354 disconnect in handshake: fails when the peer disconnects after any byte of RFB ${name}`, async () => {
      for (let length = 0; length < said.length; length += 1) {
        const { error } = await play(performClientHandshake, [said.subarray(0, length)])
        expect(error?.message, `after ${length} bytes`).toBe('the peer ended')
      }
    })
  }

  it('rejects a security type that was not offered', async () => {
    const { error, written } = await play(performClientHandshake, [ascii(V38), Buffer.of(2)])
    expect(error?.name).toBe('ClientProtocolError')
    expect([...written]).toEqual([...ascii(V38), 1, 1])
  })

  it('rejects a malformed ProtocolVersion', async () => {
    expect((await play(performClientHandshake, [ascii('GET / HTTP/1')])).error?.name).toBe('ClientProtocolError')
  })
})

describe('the byte reader', () => {
  it('returns every byte once and in order, for any pieces and reads', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.array(fc.nat(400)),
        fc.array(fc.nat(20)),
        async (all, cuts, lengths) => {
          const reader = new ByteReader({ maxBytes: 400, signal: never })
          const got: number[] = []
          const reading = (async () => {
            for (const length of lengths) got.push(...(await reader.read(length)))
          })().catch(() => {})
          for (const piece of cut(Buffer.from(all), cuts)) {
            reader.push(piece)
            await Promise.resolve()
          }
          reader.fail(new Error('end'))
          await reading
          expect([...got, ...reader.rest()]).toEqual([...all])
        },
      ),
    )
  })

  it('fails when more bytes are unread than the maximum', async () => {
    const reader = new ByteReader({ maxBytes: 8, signal: never })
    reader.push(Buffer.alloc(8))
    reader.push(Buffer.alloc(1))
    await reader.read(8)
    await expect(reader.read(1)).rejects.toThrow('9 unread bytes, the maximum is 8')
  })

  it('rejects a read above the maximum', async () => {
    await expect(new ByteReader({ maxBytes: 8, signal: never }).read(9)).rejects.toThrow(RangeError)
  })

  it('rejects a read when its signal aborts or has aborted', async () => {
    const ending = new AbortController()
    const read = new ByteReader({ maxBytes: 8, signal: ending.signal }).read(1)
    ending.abort(new Error('too late'))
    await expect(read).rejects.toThrow('too late')
    await expect(new ByteReader({ maxBytes: 8, signal: ending.signal }).read(1)).rejects.toThrow('too late')
  })
})

it.each([
  [V33, '3.3'],
  ['RFB 003.006\n', '3.3'],
  [V37, '3.7'],
  [V38, '3.8'],
  ['RFB 004.001\n', '3.8'],
  ['RFB 005.000\n', '3.8'],
  ['RFB 003.002\n', undefined],
  ['RFB 3.8\n', undefined],
  ['rfb 003.008\n', undefined],
  ['RFB 003.008\r', undefined],
])('the version for a peer that sends %j is %s', (message, version) => {
  expect(commonVersion(ascii(message))).toBe(version)
})

/** Splits `bytes` at the given offsets. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}
