import type { ConsoleRole } from '@oriel/contract'
import {
  continuousUpdates,
  cutText,
  fence,
  gii,
  input,
  keyEvent,
  payload,
  pointer,
  qemuKey,
  setEncodings,
  updateRequest,
  viewing,
} from '@oriel/testkit/rfb-messages'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { InputPermission } from '../../src/hypervisor/input-permission.ts'
import { decorateLeg } from '../../src/hypervisor/leg.ts'
import { filterInput } from '../../src/rfb/input-filter.ts'
import { cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const EXTENDED_MOUSE_BUTTONS = -316
/** The encodings of noVNC 1.7, in its order. */
const NOVNC = [1, 50, 7, -260, 16, 21, 5, 2, 6, 0, -26, -254, -223, -224, -258, -261, -308, -309, -312, -313, -307]
const NOVNC_END = [0xc0a1e5ce | 0, EXTENDED_MOUSE_BUTTONS, 0x574d5664, -239]

/** A filtered leg. Its client has sent ClientInit, which `sent` does not contain. */
function filtered(role: ConsoleRole) {
  const leg = scriptedLeg()
  const permission = new InputPermission(role)
  const viewer = viewerOf(filterInput(leg.leg, permission))
  viewer.write(Buffer.of(1))
  return { ...leg, ...viewer, permission, sent: () => leg.heard().subarray(1) }
}

/** Whether a promise is still pending after all that is due now. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  promise.then(() => {
    pending = false
  })
  await new Promise((resolve) => setImmediate(resolve))
  return pending
}

const viewingMessage = fc.oneof(
  fc.constantFrom(...Object.values(viewing)),
  fc.nat(64).map(fence),
  fc.array(fc.integer({ min: -300, max: 100 }).filter((n) => n !== -259)).map((list) => setEncodings(list)),
)
const inputMessage = fc.oneof(
  fc.constantFrom(...Object.values(input)),
  fc.nat(3000).map((length) => cutText(length)),
  fc.nat(3000).map((length) => cutText(length, -length)),
  fc.tuple(fc.nat(400), fc.boolean()).map(([length, isBigEndian]) => gii(length, isBigEndian)),
)
const messages = fc.array(
  fc.oneof(
    viewingMessage.map((bytes) => ({ bytes, isInput: false })),
    inputMessage.map((bytes) => ({ bytes, isInput: true })),
  ),
  { maxLength: 12 },
)
const cuts = fc.array(fc.nat(1_000_000), { maxLength: 30 })
/** Any bytes, of which many begin with a known type. */
const arbitraryMessages = fc
  .array(fc.tuple(fc.constantFrom(0, 2, 3, 4, 5, 6, 150, 248, 250, 251, 253, 255, 9), fc.uint8Array({ maxLength: 24 })))
  .map((list) => Buffer.concat(list.flatMap(([type, bytes]) => [Buffer.of(type), bytes])))
const joined = (list: readonly { readonly bytes: Buffer }[]) => Buffer.concat(list.map(({ bytes }) => bytes))

describe('the leg of a watcher', () => {
  it('receives exactly the messages that are no input, in any order and any pieces', () =>
    fc.assert(
      fc.asyncProperty(messages, cuts, async (list, at) => {
        const { write, sent, closed } = filtered('watch')
        for (const piece of cut(joined(list), at)) expect(write(piece)).toBe(true)
        expect(sent()).toEqual(joined(list.filter(({ isInput }) => !isInput)))
        expect(await isPending(closed)).toBe(true)
      }),
      { numRuns: 500 },
    ))

  it.each(Object.entries(input))('receives no byte of %s, byte by byte', (_, message) => {
    const { write, sent } = filtered('watch')
    for (const byte of Buffer.concat([message, updateRequest, message, message, updateRequest])) write(Buffer.of(byte))
    expect(sent()).toEqual(Buffer.concat([updateRequest, updateRequest]))
  })

  it.each(Object.entries(viewing))('receives %s whole, byte by byte', (_, message) => {
    const { write, sent } = filtered('watch')
    for (const byte of Buffer.concat([message, keyEvent, message])) write(Buffer.of(byte))
    expect(sent()).toEqual(Buffer.concat([message, message]))
  })

  it.each([0, 1, 255])('receives a ClientInit that shares the desktop, for a client that sent %i', (flag) => {
    const { leg, heard } = scriptedLeg()
    viewerOf(filterInput(leg, new InputPermission('watch'))).write(
      Buffer.concat([Buffer.of(flag), keyEvent, updateRequest]),
    )
    expect(heard()).toEqual(Buffer.concat([Buffer.of(1), updateRequest]))
  })

  it('receives the encodings of noVNC without xvp, the extended clipboard and the extended mouse buttons', () =>
    fc.assert(
      fc.property(cuts, (at) => {
        const { write, sent } = filtered('watch')
        for (const piece of cut(setEncodings([...NOVNC, ...NOVNC_END]), at)) write(piece)
        expect(sent()).toEqual(setEncodings([...NOVNC.filter((n) => n !== -309), 0x574d5664, -239]))
      }),
      { numRuns: 50 },
    ))

  it('receives a list of 256 encodings, and ends as protocol_error at a longer one before it is complete', async () => {
    const most = setEncodings(Array.from({ length: 256 }, () => 7))
    const { write, sent } = filtered('watch')
    write(most)
    expect(sent()).toEqual(most)
    const tooLong = filtered('watch')
    for (const byte of setEncodings(
      Array.from({ length: 257 }, () => 7),
      65_535,
    ))
      tooLong.write(Buffer.of(byte))
    expect(await tooLong.closed).toMatchObject({
      reason: 'protocol_error',
      message: expect.stringMatching(/SetEncodings/),
    })
    expect(tooLong.sent()).toHaveLength(0)
  })

  const malformed = {
    'type 7': Buffer.of(7),
    'type 1 of RFB 3.3': Buffer.of(1, 0, 0, 0, 0, 1),
    'a fence of 65 bytes': fence(65),
    'a fence of 255 bytes': fence(255),
    'QEMU sub-type 2': Buffer.of(255, 2, 0, 0),
    'QEMU sub-type 255': Buffer.of(255, 255, 0, 0),
    'QEMU audio operation 3': Buffer.of(255, 1, 0, 3),
    'QEMU audio operation 65535': Buffer.of(255, 1, 255, 255),
  }
  it.each(Object.entries(malformed))('ends as protocol_error at %s, and receives nothing of it', async (_, bytes) => {
    for (let at = 0; at <= bytes.length; at += 1) {
      const { write, sent, closed } = filtered('watch')
      write(Buffer.concat([updateRequest, keyEvent, bytes.subarray(0, at)]))
      write(Buffer.concat([bytes.subarray(at), updateRequest, payload(300)]))
      write(updateRequest)
      expect(await closed).toMatchObject({ reason: 'protocol_error' })
      expect(sent()).toEqual(updateRequest)
    }
  })

  it.each([1, 7, 127, 149, 249, 252, 254])(
    'ends as protocol_error at the unknown type %i, although it was given control',
    async (type) => {
      const { write, sent, closed, permission } = filtered('watch')
      permission.mayInput = true
      write(Buffer.concat([keyEvent, Buffer.of(type), keyEvent]))
      expect(await closed).toMatchObject({ message: `the client sent a message of the unknown type ${type}` })
      expect(sent()).toEqual(keyEvent)
    },
  )

  it.each([
    ['4 GiB, as an unsigned length', 0xffffffff, 1],
    ['2 GiB', 0x7fffffff, 100_000],
    ['the most negative length', 0x80000000, 100_000],
    ['1 MiB', 1 << 20, 100_000],
  ])('receives no byte of a ClientCutText that announces %s', (_, claimed, length) => {
    const { write, sent } = filtered('watch')
    const bytes = cutText(length, claimed)
    for (let at = 0; at < bytes.length; at += 1000) write(bytes.subarray(at, at + 1000))
    expect(sent()).toHaveLength(0)
  })

  it('receives the message after a ClientCutText of 1 MiB', () => {
    const { write, sent } = filtered('watch')
    write(Buffer.concat([cutText(1 << 20), updateRequest]))
    expect(sent()).toEqual(updateRequest)
  })

  it('receives only whole messages other than input, except for the last, when a client sends arbitrary bytes', () =>
    fc.assert(
      fc.property(arbitraryMessages, cuts, (bytes, at) => {
        const { write, sent } = filtered('watch')
        for (const piece of cut(bytes, at)) write(piece)
        expect(typesIn(sent()).filter((type) => ![0, 2, 3, 150, 248].includes(type))).toEqual([])
      }),
      { numRuns: 1000 },
    ))

  it('ends as the leg does', async () => {
    const { end, closed } = filtered('watch')
    end(new Error('reset'))
    expect(await closed).toMatchObject({ message: 'reset' })
  })
})

describe('the leg of a session with control', () => {
  it('receives exactly what the client sent, at once', () =>
    fc.assert(
      fc.property(messages, cuts, fc.uint8Array(), (list, at, after) => {
        const { write, sent } = filtered('control')
        let written = 0
        for (const piece of cut(Buffer.concat([joined(list), after]), at)) {
          write(piece)
          written += piece.length
          expect(sent()).toHaveLength(written)
        }
        expect(sent()).toEqual(Buffer.concat([joined(list), after]))
      }),
      { numRuns: 300 },
    ))

  it.each([0, 1, 255])('receives ClientInit %i as it is', (flag) => {
    const { leg, heard } = scriptedLeg()
    viewerOf(filterInput(leg, new InputPermission('control'))).write(Buffer.of(flag))
    expect(heard()).toEqual(Buffer.of(flag))
  })

  it('receives the write itself, without a copy', () => {
    const { leg } = scriptedLeg()
    const written: Uint8Array[] = []
    const filter = filterInput(
      decorateLeg(leg, { write: (bytes) => written.push(bytes) > 0 }),
      new InputPermission('control'),
    )
    const bytes = Buffer.concat([Buffer.of(1), keyEvent, updateRequest])
    filter.write(bytes)
    expect(written).toHaveLength(1)
    expect([written[0]!.buffer, written[0]!.byteOffset]).toEqual([bytes.buffer, bytes.byteOffset])
  })

  it('can withhold input while all messages are known, and no longer after an unknown one', async () => {
    const { write, sent, permission, closed } = filtered('control')
    write(Buffer.concat([...Object.values(viewing), ...Object.values(input)]))
    expect(permission.canWithhold).toBe(true)
    const unknown = Buffer.concat([Buffer.of(7), payload(50)])
    const before = sent().length
    write(unknown)
    write(keyEvent)
    expect(permission.canWithhold).toBe(false)
    expect(sent().subarray(before)).toEqual(Buffer.concat([unknown, keyEvent]))
    expect(await isPending(closed)).toBe(true)
  })

  it('ends instead of passing unparsed bytes once control is taken from it', async () => {
    const { write, sent, permission, closed } = filtered('control')
    write(Buffer.of(7))
    permission.mayInput = false
    write(updateRequest)
    permission.mayInput = true
    write(updateRequest)
    expect(await closed).toMatchObject({
      reason: 'protocol_error',
      message: expect.stringContaining('gave control away'),
    })
    expect(sent()).toEqual(Buffer.of(7))
  })

  it('ends as protocol_error at an unknown message while it may not send input', async () => {
    const { write, sent, permission, closed } = filtered('control')
    permission.mayInput = false
    write(Buffer.concat([updateRequest, Buffer.of(7), keyEvent]))
    expect(await closed).toMatchObject({ message: 'the client sent a message of the unknown type 7' })
    expect(sent()).toEqual(updateRequest)
  })

  it('can withhold input after an eighth button, unless the client listed the extended mouse buttons', () =>
    fc.assert(
      fc.property(cuts, fc.boolean(), (at, isListed) => {
        const { write, sent, permission } = filtered('control')
        const encodings = setEncodings([...NOVNC, ...(isListed ? [EXTENDED_MOUSE_BUTTONS] : [])])
        const bytes = Buffer.concat([encodings, setEncodings([7]), pointer(0x7f), pointer(0x80), updateRequest])
        for (const piece of cut(bytes, at)) write(piece)
        expect(sent()).toEqual(bytes)
        expect(permission.canWithhold).toBe(!isListed)
      }),
      { numRuns: 50 },
    ))

  it('assumes the extended mouse buttons in a list that is too long to read', () => {
    const { write, sent, permission } = filtered('control')
    const list = setEncodings(Array.from({ length: 65_535 }, () => 7))
    for (let at = 0; at < list.length; at += 8192) write(list.subarray(at, at + 8192))
    expect(permission.canWithhold).toBe(true)
    write(pointer(0x80))
    expect(permission.canWithhold).toBe(false)
    expect(sent()).toEqual(Buffer.concat([list, pointer(0x80)]))
  })
})

describe('handing control over', () => {
  it.each(['control', 'watch'] as const)(
    'takes effect at the next message of a session opened for %s, and leaves no key or button pressed',
    (role) =>
      fc.assert(
        fc.property(messages, cuts, fc.array(fc.boolean()), (list, at, flags) => {
          const { write, sent, permission } = filtered(role)
          const starts = startsOf(list)
          const allowed: boolean[] = []
          let offset = 0
          for (const [i, piece] of cut(joined(list), at).entries()) {
            permission.mayInput = flags[i] ?? permission.mayInput
            for (const [n, start] of starts.entries())
              if (start >= offset && start < offset + piece.length) allowed[n] = permission.mayInput
            write(piece)
            offset += piece.length
          }
          permission.mayInput = false
          const expected = list.filter(({ isInput }, n) => !isInput || allowed[n]).map(({ bytes }) => bytes)
          expect(readAsGuest(sent(), expected)).toEqual({ missing: 0, unknown: 0, pressed: new Set() })
        }),
        { numRuns: 1000 },
      ),
  )

  it('ends no message in the middle', () => {
    const { write, sent, permission } = filtered('watch')
    write(keyEvent.subarray(0, 3))
    permission.mayInput = true
    write(Buffer.concat([keyEvent.subarray(3), keyEvent.subarray(0, 5)]))
    permission.mayInput = false
    expect(sent()).toEqual(keyEvent.subarray(0, 5))
    write(Buffer.concat([keyEvent.subarray(5), keyEvent]))
    expect(sent()).toEqual(Buffer.concat([keyEvent, releaseOf(keyEvent)]))
  })

  it('releases the keys and buttons that the client holds at once, and none that it has released', () => {
    const { write, sent, permission } = filtered('control')
    const others = [keyOf(98), releaseOf(keyOf(98)), pointer(1), pointer(0), qemuKey, releaseOf(qemuKey)]
    const held = [keyOf(97), keyOf(99), pointer(4)]
    write(Buffer.concat([...others, ...held, keyOf(97), updateRequest]))
    const before = sent().length
    permission.mayInput = false
    expect(sent().subarray(before)).toEqual(Buffer.concat(held.map(releaseOf)))
    permission.mayInput = true
    permission.mayInput = false
    write(updateRequest)
    expect(sent().subarray(before)).toHaveLength(8 + 8 + 6 + updateRequest.length)
  })

  it.each([
    ['the header of a message', pointer(1).subarray(0, 1)],
    ['a SetEncodings message', setEncodings([7, 16]).subarray(0, 9)],
  ])('releases keys at once while %s is held back', (_, piece) => {
    const { write, sent, permission } = filtered('watch')
    permission.mayInput = true
    write(Buffer.concat([keyEvent, piece]))
    permission.mayInput = false
    expect(sent()).toEqual(Buffer.concat([keyEvent, releaseOf(keyEvent)]))
  })

  it('releases nothing in the middle of bytes that are not parsed', () => {
    const { write, sent, permission } = filtered('control')
    const bytes = Buffer.concat([keyEvent, Buffer.of(7), payload(3)])
    write(bytes)
    permission.mayInput = false
    expect(sent()).toEqual(bytes)
  })

  it('releases at most 32 keys and one set of buttons', () => {
    const { write, sent, permission } = filtered('control')
    for (let key = 0; key < 1000; key += 1) write(Buffer.concat([keyOf(key), pointer(1 + (key % 127))]))
    const before = sent().length
    permission.mayInput = false
    expect(sent().length - before).toBe(32 * 8 + 6)
  })

  describe('when control is taken in the middle of a message', () => {
    function taken(piece: Buffer) {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      onTestFinished(() => void vi.useRealTimers())
      const filter = filtered('control')
      filter.write(Buffer.concat([keyEvent, piece]))
      filter.permission.mayInput = false
      return filter
    }

    it.each([
      ['a KeyEvent', keyEvent.subarray(0, 4)],
      ['a ClientCutText of 1 MiB', cutText(1024 * 1024).subarray(0, 100)],
      ['bytes that are not parsed', Buffer.of(7, 0)],
    ])('ends as protocol_error after ten seconds in %s, so that the server releases the keys', async (_, piece) => {
      const { closed } = taken(piece)
      await vi.advanceTimersByTimeAsync(9_999)
      expect(await isPending(closed)).toBe(true)
      await vi.advanceTimersByTimeAsync(1)
      expect(await closed).toMatchObject({ reason: 'protocol_error' })
    })

    it('goes on once the client has sent the rest, or has control again', async () => {
      const { write, permission, closed } = taken(keyEvent.subarray(0, 4))
      write(Buffer.concat([keyEvent.subarray(4), updateRequest.subarray(0, 5)]))
      await vi.advanceTimersByTimeAsync(10_000)
      permission.mayInput = true
      write(Buffer.concat([updateRequest.subarray(5), keyEvent.subarray(0, 4)]))
      permission.mayInput = false
      permission.mayInput = true
      await vi.advanceTimersByTimeAsync(10_000)
      expect(await isPending(closed)).toBe(true)
      expect(vi.getTimerCount()).toBe(0)
    })

    it('has no deadline left once the leg has ended', async () => {
      const { end, closed } = taken(keyEvent.subarray(0, 4))
      end(undefined)
      await closed
      expect(vi.getTimerCount()).toBe(0)
    })
  })

  it('releases nothing once the leg has ended', async () => {
    const { write, sent, permission, end, closed } = filtered('control')
    write(keyEvent)
    end(undefined)
    await closed
    permission.mayInput = false
    expect(sent()).toEqual(keyEvent)
  })
})

const keyOf = (keysym: number) => Buffer.of(4, 1, 0, 0, 0, 0, keysym >> 8, keysym & 0xff)
const isQemuKey = (message: Buffer) => message[0] === 255 && message[1] === 0
const [SIZES, QEMU_KEY_BYTES] = [
  new Map([
    [4, 8],
    [5, 6],
  ]),
  12,
]

function releaseOf(message: Buffer): Buffer {
  const copy = Buffer.from(message)
  return isQemuKey(message) ? copy.fill(0, 2, 4) : copy.fill(0, 1, 2)
}

/**
 * Reads `sent`, which must be the expected messages in their order, with releases of pressed keys and buttons between them.
 * Returns how many expected messages are missing, how many bytes are neither, and what is still pressed.
 */
function readAsGuest(sent: Buffer, expected: readonly Buffer[]) {
  const pressed = new Set<string>()
  const missing = [...expected]
  let rest = sent
  for (;;) {
    const size = isQemuKey(rest) ? QEMU_KEY_BYTES : SIZES.get(rest[0] ?? 0)
    const first = missing[0]
    if (size !== undefined && isRelease(rest) && pressed.delete(keyIn(rest.subarray(0, size))))
      rest = rest.subarray(size)
    else if (first && rest.subarray(0, first.length).equals(first)) {
      if (first[0] === 4 || first[0] === 5 || isQemuKey(first)) pressed.add(keyIn(first))
      rest = rest.subarray(first.length)
      missing.shift()
    } else return { missing: missing.length, unknown: rest.length, pressed }
  }
}

/** Names the key of a message, or the buttons. */
const keyIn = (message: Buffer) =>
  message[0] === 5 ? 'buttons' : message.subarray(isQemuKey(message) ? 8 : 4).toString('hex')
const isRelease = (message: Buffer) => message[isQemuKey(message) ? 2 : 1] === 0

function startsOf(list: readonly { readonly bytes: Buffer }[]): number[] {
  let end = 0
  return list.map(({ bytes }) => {
    end += bytes.length
    return end - bytes.length
  })
}

/** The types of the messages that a server reads, which closes the connection at a type that it does not know. */
function typesIn(bytes: Buffer): number[] {
  const types: number[] = []
  for (let at = 0; at < bytes.length; at += sizeAt(bytes, at)) types.push(bytes[at]!)
  return types
}

function sizeAt(bytes: Buffer, at: number): number {
  const type = bytes[at]!
  if (type === 2) return at + 4 > bytes.length ? bytes.length : 4 + 4 * bytes.readUInt16BE(at + 2)
  if (type === 248) return 9 + (bytes[at + 8] ?? 0)
  return { 0: 20, 3: 10, 150: 10 }[type] ?? Number.POSITIVE_INFINITY
}

describe('backpressure', () => {
  /** A leg that counts its writes and takes more while `open` returns `true`. */
  function counted(role: ConsoleRole, open: () => boolean) {
    const { leg } = scriptedLeg()
    const writes: number[] = []
    const counting = decorateLeg(leg, { write: (bytes) => writes.push(bytes.length) > 0 && open() })
    return { writes, filter: filterInput(counting, new InputPermission(role)) }
  }

  it('is that of the leg, and a write that is dropped whole succeeds', () => {
    const { filter, writes } = counted('watch', () => false)
    expect(filter.write(Buffer.of(0))).toBe(false)
    expect(filter.write(keyEvent)).toBe(true)
    expect(filter.write(keyEvent.subarray(0, 2))).toBe(true)
    expect(filter.write(Buffer.concat([keyEvent.subarray(2), updateRequest]))).toBe(false)
    expect(writes).toEqual([1, 10])
  })

  it('needs one write for each write of the client, however many messages of it are dropped', () => {
    const { filter, writes } = counted('watch', () => true)
    filter.write(Buffer.of(1))
    filter.write(Buffer.concat(Array.from({ length: 1000 }, () => [keyEvent, updateRequest]).flat()))
    filter.write(Buffer.concat(Array.from({ length: 1000 }, () => qemuKey)))
    filter.write(Buffer.concat([updateRequest, continuousUpdates]))
    expect(writes).toEqual([1, 10_000, 20])
  })
})
