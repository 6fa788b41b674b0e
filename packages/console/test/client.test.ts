/** The dialogue with a VNC server, byte by byte. */
import { deflateSync, inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../src/index.ts'
import { createClient, hello, pixels, rectangle, rgbs, serverInit, u16, u32, update } from './parts/server.ts'

const ascii = (text: string) => Buffer.from(text, 'latin1')
const hex = (text: string) => ascii(text).toString('hex')

/** SetPixelFormat, SetEncodings with all encodings, and the first request. */
const opening = (size: string) =>
  [
    ...['00000000', '20180001 00ff00ff00ff 000810 000000'],
    ...['0200000c', '00000007 00000010 00000005 00000001 00000000'],
    ...['ffffff21 ffffff20 ffffff11 fffffefe fffffefb fffffecc c0a1e5ce'],
    `0300 0000 0000 ${size}`,
  ]
    .join('')
    .replaceAll(' ', '')

describe('the handshake', () => {
  it('answers each step of RFB 3.8, byte by byte', () => {
    const { client, receive, sent, events, framebuffer } = createClient()
    const bytes = hello(3, 2, 'QEMU (web-1)')
    const steps = Array.from(bytes, (byte) => {
      receive(Uint8Array.of(byte))
      return { state: client.state, sent: sent() }
    })
    expect(steps.filter((step) => step.sent !== '').map((step) => step.sent)).toEqual([
      hex('RFB 003.008\n'),
      '01',
      '01',
      opening('0003 0002'),
    ])
    expect([...new Set(steps.map(({ state }) => state))]).toEqual([
      ...['version', 'security', 'security-result', 'init', 'message'],
    ])
    expect(events.onInit).toEqual(['QEMU (web-1)'])
    expect(framebuffer).toMatchObject({ width: 3, height: 2 })
  })

  it.each([
    ['RFB 003.003\n', Buffer.of(0, 0, 0, 1), 'RFB 003.003\n', '01'],
    ['RFB 003.005\n', Buffer.of(0, 0, 0, 1), 'RFB 003.003\n', '01'],
    ['RFB 003.007\n', Buffer.of(2, 2, 1), 'RFB 003.007\n', '0101'],
    ['RFB 003.889\n', Buffer.of(1, 1, 0, 0, 0, 0), 'RFB 003.008\n', '0101'],
    ['RFB 004.001\n', Buffer.of(1, 1, 0, 0, 0, 0), 'RFB 003.008\n', '0101'],
  ])('answers a server of %j with its dialogue', (version, security, answer, rest) => {
    const { receive, sent } = createClient()
    receive(Buffer.concat([ascii(version), security, serverInit(3, 2)]))
    expect(sent()).toBe(hex(answer) + rest + opening('0003 0002'))
  })

  it.each([
    ['a greeting that is not RFB', ascii('SSH-2.0-Open'), 'does not speak RFB'],
    ['a version below 3', ascii('RFB 002.002\n'), 'does not speak RFB'],
    ['security types that need a password', Buffer.concat([ascii('RFB 003.008\n'), Buffer.of(2, 2, 19)]), '2, 19'],
    ['a password in 3.3', Buffer.concat([ascii('RFB 003.003\n'), u32(2)]), 'need a password (2)'],
    [
      'a reason in place of types',
      Buffer.concat([ascii('RFB 003.008\n'), Buffer.of(0), u32(8), ascii('Too many')]),
      'The server refused: "Too many"',
    ],
    [
      'a reason after the choice',
      Buffer.concat([ascii('RFB 003.008\n'), Buffer.of(1, 1), u32(1), u32(3), ascii('No.')]),
      'The server refused: "No."',
    ],
    [
      'an endless reason',
      Buffer.concat([ascii('RFB 003.008\n'), Buffer.of(0), u32(0xffffffff)]),
      'with a reason that is too long',
    ],
    ['a screen larger than allowed', hello(65_535, 65_535), 'more than maxPixels (65536)'],
  ])('fails on %s', (_, bytes, message) => {
    const { receive } = createClient()
    expect(() => receive(bytes)).toThrow(ProtocolError)
    expect(() => createClient().receive(bytes)).toThrow(message)
  })

  it('keeps the beginning of a long name and reads past the rest', () => {
    const { receive, events, client } = createClient()
    receive(hello(3, 2, 'x'.repeat(600_000)))
    expect(events.onInit).toEqual(['x'.repeat(4096)])
    expect(client.state).toBe('message')
  })
})

function opened(size: readonly [number, number] = [3, 2]) {
  const created = createClient()
  created.receive(hello(...size))
  created.sent()
  return created
}

const incremental = (size: string) => `0301 0000 0000 ${size}`.replaceAll(' ', '')
const whole = (size: string) => `0300 0000 0000 ${size}`.replaceAll(' ', '')
const pseudo = (number: number, area: readonly [number, number, number, number], ...data: Uint8Array[]) =>
  rectangle(number >>> 0, area, ...data)

describe('an update', () => {
  it('is reported with the areas that it draws, and answered with a request for the next', () => {
    const { receive, sent, events } = opened()
    receive(update([rectangle(0, [0, 1, 2, 1], pixels('rg')), rectangle(1, [1, 0, 1, 1], u16(0), u16(1))]))
    expect(events.onUpdate).toEqual([
      {
        damage: [
          { x: 0, y: 1, width: 2, height: 1 },
          { x: 1, y: 0, width: 1, height: 1 },
        ],
        isResized: false,
      },
    ])
    expect(sent()).toBe(incremental('0003 0002'))
  })

  it('ends with LastRect if the number of its rectangles is not known', () => {
    const { receive, events, rows } = opened()
    receive(update([rectangle(0, [0, 0, 1, 1], pixels('r')), pseudo(-224, [0, 0, 0, 0])], 0xffff))
    receive(update([rectangle(0, [1, 0, 1, 1], pixels('g'))]))
    expect(events.onUpdate).toHaveLength(2)
    expect(rows()).toEqual(['rg.', '...'])
  })

  it.each([
    ['DesktopSize', pseudo(-223, [0, 0, 2, 1])],
    ['ExtendedDesktopSize', pseudo(-308, [0, 0, 2, 1], Buffer.concat([Buffer.of(1, 0, 0, 0), Buffer.alloc(16)]))],
    ['ExtendedDesktopSize for another client', pseudo(-308, [2, 0, 2, 1], Buffer.alloc(4))],
  ])('resizes the screen with %s, and requests all of the new one', (_, size) => {
    const { receive, sent, events, rows } = opened()
    receive(update([rectangle(0, [0, 0, 2, 1], pixels('rg'))]))
    sent()
    receive(update([size]))
    expect(rows()).toEqual(['..'])
    expect(events.onUpdate.at(-1)).toEqual({ damage: [], isResized: true })
    expect(sent()).toBe(whole('0002 0001'))
  })

  it('refuses a new size without pixels', () => {
    const { receive } = opened()
    expect(() => receive(update([pseudo(-223, [0, 0, 0, 4])]))).toThrow('The server announced a screen of 0x4 pixels')
  })

  it('leaves the picture if ExtendedDesktopSize names the same size, or a refused one', () => {
    const { receive, sent, rows } = opened()
    receive(update([rectangle(0, [0, 0, 2, 1], pixels('rg'))]))
    sent()
    receive(update([pseudo(-308, [0, 0, 3, 2], Buffer.alloc(4)), pseudo(-308, [1, 1, 9, 9], Buffer.alloc(4))]))
    expect(rows()).toEqual(['rg.', '...'])
    expect(sent()).toBe(incremental('0003 0002'))
  })

  it('has the pointer’s picture, with its mask as alpha, apart from the screen', () => {
    const { receive, events, rows } = opened()
    receive(update([pseudo(-239, [1, 0, 2, 2], pixels('rgbw'), Buffer.of(0x80, 0x40))]))
    const rgba = new Uint8Array(Buffer.from('ff0000ff 00ff0000 0000ff00 ffffffff'.replaceAll(' ', ''), 'hex'))
    expect(events.onCursor).toEqual([{ width: 2, height: 2, rgba, hotspot: { x: 1, y: 0 } }])
    expect(rows()).toEqual(['...', '...'])
  })

  it('drops a pointer’s picture of more than 65,536 pixels', () => {
    const { receive, events, client } = opened()
    receive(update([pseudo(-239, [0, 0, 257, 256], Buffer.alloc(257 * 256 * 4), Buffer.alloc(33 * 256))]))
    expect(events.onCursor).toEqual([undefined])
    expect(client.state).toBe('message')
  })

  it('reports the lights of the keyboard', () => {
    const { receive, client } = opened()
    expect(client.leds).toBeUndefined()
    receive(update([pseudo(-261, [0, 0, 0, 0], Buffer.of(0b101))]))
    expect(client.leds).toEqual({ scrollLock: true, numLock: false, capsLock: true })
  })

  it('is refused with an encoding that was not requested', () => {
    expect(() => opened().receive(update([rectangle(6, [0, 0, 1, 1])]))).toThrow('the unknown encoding 6')
  })
})

describe('a message', () => {
  it('is refused if its type was not requested', () => {
    expect(() => opened().receive(Buffer.of(150))).toThrow('the unknown type 150')
  })

  it('with a bell is reported, and one with a colour map is read past', () => {
    const { receive, events, client } = opened()
    receive(Buffer.concat([Buffer.of(2), Buffer.of(1, 0), u16(0), u16(2), Buffer.alloc(12), Buffer.of(2)]))
    expect(events.onBell).toHaveLength(2)
    expect(client.state).toBe('message')
  })
})

describe('a key', () => {
  const stroke = { down: true, scancode: 0x9d, keysym: 0xffe4 }

  it('is sent as a keysym until the server announces extended key events, and then with its scancode', () => {
    const { client, receive, sent } = opened()
    client.sendKey(stroke)
    expect(sent()).toBe('04010000 0000ffe4'.replace(' ', ''))
    receive(update([pseudo(-258, [0, 0, 0, 0])]))
    sent()
    client.sendKey(stroke)
    client.sendKey({ ...stroke, down: false })
    expect(sent()).toBe('ff000001 0000ffe4 0000009d ff000000 0000ffe4 0000009d'.replaceAll(' ', ''))
  })

  it('without a scancode is always sent as a keysym', () => {
    const { client, receive, sent } = opened()
    receive(update([pseudo(-258, [0, 0, 0, 0])]))
    sent()
    client.sendKey({ down: true, scancode: 0, keysym: 0x010020ac })
    expect(sent()).toBe('04010000010020ac')
  })
})

describe('the clipboard', () => {
  const [TEXT, CAPS, REQUEST, NOTIFY, PROVIDE] = [1, 1 << 24, 1 << 25, 1 << 27, 1 << 28]
  const extended = (flags: number, data = Buffer.alloc(0)) =>
    Buffer.concat([Buffer.of(3, 0, 0, 0), u32(-(4 + data.length) >>> 0), u32(flags), data])
  const announced = () => {
    const created = opened()
    created.receive(extended(CAPS | PROVIDE | NOTIFY | REQUEST | TEXT, u32(0)))
    return created
  }

  it('without the extension has Latin-1 in both directions', () => {
    const { client, receive, events, sent } = opened()
    receive(Buffer.concat([Buffer.of(3, 0, 0, 0), u32(3), ascii('a\xe9b')]))
    expect(events.onClipboard).toEqual(['aéb'])
    client.setClipboard('é€\r\n')
    expect(sent()).toBe(`0600000000000003e93f0a`)
  })

  it('with the extension answers the server’s announcement, and asks for text that it offers', () => {
    const { receive, events, sent } = announced()
    expect(sent()).toBe('06000000fffffff81b00000100000000')
    receive(extended(NOTIFY | TEXT))
    expect(sent()).toBe('06000000fffffffc02000001')
    const text = Buffer.from('a€\r\nb\0')
    receive(extended(PROVIDE | TEXT, deflateSync(Buffer.concat([u32(text.length), text]))))
    expect(events.onClipboard).toEqual(['a€\nb'])
  })

  it('with the extension offers its text, and provides it when the server asks', () => {
    const { client, receive, sent } = announced()
    sent()
    client.setClipboard('a€\nb')
    expect(sent()).toBe('06000000fffffffc08000001')
    receive(extended(REQUEST | TEXT))
    const message = Buffer.from(sent(), 'hex')
    expect(message.subarray(8, 12).toString('hex')).toBe('10000001')
    expect(message.readInt32BE(4)).toBe(-(message.length - 8))
    const provided = inflateSync(message.subarray(12))
    expect(provided.readUInt32BE(0)).toBe(provided.length - 4)
    expect(provided.subarray(4).toString()).toBe('a€\r\nb\0')
  })

  it('cuts a text that inflates to more than a mebibyte', () => {
    const { receive, events } = announced()
    const bomb = deflateSync(Buffer.concat([u32(1 << 28), Buffer.alloc(1 << 24, 'a')]))
    receive(extended(PROVIDE | TEXT, bomb))
    expect(events.onClipboard).toEqual(['a'.repeat(1 << 20)])
  })

  it('is refused with damaged data or without flags', () => {
    expect(() => announced().receive(extended(PROVIDE | TEXT, Buffer.alloc(9, 255)))).toThrow('a damaged clipboard')
    expect(() => announced().receive(Buffer.from('03000000ffffffff00', 'hex'))).toThrow('without flags')
  })

  it('reminds QEMU of a waiting client without changing anything, and sends other servers nothing', () => {
    const { client, receive, sent } = announced()
    sent()
    client.hurry()
    expect(sent()).toBe('')
    receive(update([pseudo(-258, [0, 0, 0, 0])]))
    sent()
    client.hurry()
    expect(sent()).toBe('06000000fffffff81b00000100000000')
  })
})

it('draws what comes after other messages', () => {
  const { receive, rows } = opened()
  const messages = [Buffer.of(2), update([rectangle(7, [0, 0, 3, 2], Buffer.of(0x80), rgbs('w'))])]
  receive(Buffer.concat(messages))
  expect(rows()).toEqual(['www', 'www'])
})
