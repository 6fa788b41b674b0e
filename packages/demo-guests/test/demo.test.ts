import { setImmediate } from 'node:timers/promises'
import { connectPeer, hex, type Peer } from '@oriel/testkit'
import { expect, test } from 'vitest'
import { Desktop, keysym } from '../src/desktop.ts'
import { type DemoGuest, startDemoGuest } from '../src/index.ts'
import { maxCutTextBytes } from '../src/session.ts'

const noon = () => new Date(2026, 0, 1, 12, 0, 30)
const start = () => startDemoGuest({ name: 'web-1', now: noon })
const whole = { x: 0, y: 0, width: 640, height: 400 }
const typed = { x: 16, y: 138, width: 432, height: 220 }

test.each([
  ['whole messages', (peer: Peer, bytes: Buffer) => peer.send(bytes)],
  ['single bytes', (peer: Peer, bytes: Buffer) => peer.sendSlowly(bytes)],
])('RFB 3.8 in %s: version, security type None, SecurityResult, ServerInit, an update', async (_, send) => {
  await using guest = await start()
  using peer = await connectPeer(guest)
  await peer.expect(Buffer.from('RFB 003.008\n'))
  await send(peer, Buffer.from('RFB 003.008\n'))
  await peer.expect('01 01')
  await send(peer, hex('01'))
  await peer.expect('00000000')
  await send(peer, hex('01'))
  await peer.expect('0280 0190 20 18 00 01 00ff 00ff 00ff 10 08 00 000000 00000005')
  await peer.expect(Buffer.from('web-1'))
  await send(peer, updateRequest(false, { x: 0, y: 0, width: 2, height: 1 }))
  await peer.expect('00 00 0001 0000 0000 0002 0001 00000000 30211700 30211700')
})

test('a desktop whose clock has passed the next second arms its timer without a warning of Node', async () => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => warnings.push(name)
  process.on('warning', onWarning)
  const readings = [30, 33, 36].map((second) => new Date(2026, 0, 1, 12, 0, second))
  using _desktop = new Desktop({ name: 'web-1', now: () => readings.shift() ?? noon() })
  await setImmediate()
  process.off('warning', onWarning)
  expect(warnings).toEqual([])
})

test('RFB 3.7 has no SecurityResult', async () => {
  await using guest = await start()
  using peer = await connectPeer(guest)
  await peer.read(12)
  await peer.send(Buffer.from('RFB 003.007\n'))
  await peer.expect('01 01')
  await peer.send('01 01')
  await peer.expect('0280 0190')
})

test.each(['003.003', '003.005'])('a viewer with RFB %s gets the security type from the guest', async (version) => {
  await using guest = await start()
  using peer = await connectPeer(guest)
  await peer.read(12)
  await peer.send(Buffer.from(`RFB ${version}\n`))
  await peer.expect('00000001')
  await peer.send('00')
  await peer.expect('0280 0190')
})

test('another security type is refused with a reason, and the connection ends', async () => {
  await using guest = await start()
  using peer = await connectPeer(guest)
  await peer.read(12)
  await peer.send(Buffer.from('RFB 003.008\n'))
  await peer.expect('01 01')
  await peer.send('02')
  await peer.expect('00000001 00000022')
  expect(String(await peer.readToEnd())).toBe('Only security type None is offered')
})

test.each([
  ['a malformed version', Buffer.from('GET / HTTP/1')],
  ['RFB 4', Buffer.from('RFB 004.000\n')],
])('%s ends the connection', async (_, bytes) => {
  await using guest = await start()
  using peer = await connectPeer(guest)
  await peer.read(12)
  await peer.send(bytes)
  expect(await peer.readToEnd()).toHaveLength(0)
})

test.each([
  ['an unknown message', hex('63')],
  ['a colour map', setPixelFormat('08 08 00 00 0007 0007 0003 00 03 06 000000')],
  ['24 bits per pixel', setPixelFormat('18 18 00 01 00ff 00ff 00ff 10 08 00 000000')],
  ['channels beyond the pixel', setPixelFormat('08 08 00 01 00ff 0007 0003 04 03 06 000000')],
  ['too many encodings', hex('02 00 ffff')],
  ['an endless clipboard', Buffer.concat([hex('06 000000'), u32(maxCutTextBytes + 1)])],
])('%s ends that connection and no other', async (_, bytes) => {
  await using guest = await start()
  using bad = await viewer(guest)
  using good = await viewer(guest)
  await bad.send(bytes)
  await bad.readToEnd()
  await update(good, false, whole)
})

test('a viewer may disconnect at any byte', async () => {
  await using guest = await start()
  const script = Buffer.concat([
    Buffer.from('RFB 003.008\n'),
    hex('01 01'),
    setPixelFormat('10 10 01 01 001f 003f 001f 0b 05 00 000000'),
    setEncodings(0, -239),
    updateRequest(false, whole),
    key(0x41),
    pointer(1, 5, 5),
    Buffer.concat([hex('06 000000'), u32(3), Buffer.from('abc')]),
  ])
  for (let length = 0; length <= script.length; length++) {
    using peer = await connectPeer(guest)
    await peer.send(script.subarray(0, length))
  }
  using peer = await viewer(guest)
  expect(await update(peer, false, { x: 0, y: 0, width: 1, height: 1 })).toHaveLength(1)
})

test.each([
  ['32 bits, big endian', '20 18 01 01 00ff 00ff 00ff 10 08 00', '00172130'],
  ['32 bits, blue first', '20 18 00 01 00ff 00ff 00ff 00 08 10', '17213000'],
  ['16 bits, little endian', '10 10 00 01 001f 003f 001f 0b 05 00', '0619'],
  ['16 bits, big endian', '10 10 01 01 001f 003f 001f 0b 05 00', '1906'],
  ['8 bits', '08 08 00 01 0007 0007 0003 00 03 06', '49'],
])('pixels in %s', async (_, format, pixel) => {
  await using guest = await start()
  using peer = await viewer(guest)
  await peer.send(setPixelFormat(`${format} 000000`))
  await peer.send(updateRequest(false, { x: 0, y: 0, width: 1, height: 1 }))
  await peer.expect('00 00 0001 0000 0000 0001 0001 00000000')
  await peer.expect(pixel)
})

test('keys change the typed line, and Backspace undoes the change', async () => {
  await using guest = await start()
  using peer = await viewer(guest)
  const before = await picture(peer, typed)
  await peer.send(key(0x41))
  const changed = await update(peer, true, typed)
  expect(changed.length).toBeGreaterThan(0)
  const after = await picture(peer, typed)
  expect(after.equals(before)).toBe(false)
  await peer.send(key(keysym.backSpace))
  expect((await picture(peer, typed)).equals(before)).toBe(true)
})

test('a capital is typed with and without Shift held', async () => {
  await using guest = await start()
  using peer = await viewer(guest)
  await peer.send(key(0x41))
  const bare = await picture(peer, typed)
  await peer.send(Buffer.concat([key(keysym.backSpace), keyEvent(true, keysym.shiftLeft), key(0x41)]))
  expect((await picture(peer, typed)).equals(bare)).toBe(true)
})

test('Return starts a new line', async () => {
  await using guest = await start()
  using peer = await viewer(guest)
  const empty = await picture(peer, typed)
  await peer.send(key(keysym.return))
  expect((await picture(peer, typed)).equals(empty)).toBe(false)
})

test('the clipboard is typed whatever its length, and the connection stays open', async () => {
  await using guest = await start()
  using peer = await viewer(guest)
  const before = await picture(peer, typed)
  await peer.send(Buffer.concat([hex('06 000000'), u32(maxCutTextBytes), Buffer.alloc(maxCutTextBytes, 'x')]))
  expect((await picture(peer, typed)).equals(before)).toBe(false)
})

test('a held button draws a line, a move without a button does not, and Escape removes the line', async () => {
  const canvas = { x: 480, y: 290, width: 100, height: 60 }
  await using guest = await start()
  using peer = await viewer(guest)
  const clean = await picture(peer, canvas)
  await peer.send(Buffer.concat([pointer(0, 490, 300), pointer(0, 560, 330)]))
  expect((await picture(peer, canvas)).equals(clean)).toBe(true)
  await peer.send(Buffer.concat([pointer(1, 490, 300), pointer(1, 560, 330), pointer(0, 560, 330)]))
  expect((await picture(peer, canvas)).equals(clean)).toBe(false)
  await peer.send(key(keysym.escape))
  expect((await picture(peer, canvas)).equals(clean)).toBe(true)
})

test('all viewers share one desktop', async () => {
  await using guest = await start()
  using typist = await viewer(guest)
  using watcher = await viewer(guest)
  const before = await picture(watcher, typed)
  // The area's edge has not been sent yet. After this update, only a key causes another one.
  await update(watcher, true, typed)
  await watcher.send(updateRequest(true, typed))
  await typist.send(key(0x5a))
  expect((await readUpdate(watcher)).length).toBeGreaterThan(0)
  expect((await picture(watcher, typed)).equals(before)).toBe(false)
})

test('an incremental request gets an update when the clock ticks', async () => {
  await using guest = await startDemoGuest({ name: 'clock' })
  using peer = await viewer(guest)
  const clock = { x: 528, y: 0, width: 112, height: 48 }
  const before = await picture(peer, clock)
  await peer.send(updateRequest(true, clock))
  await readUpdate(peer)
  expect((await picture(peer, clock)).equals(before)).toBe(false)
})

test('a viewer with the Cursor pseudo-encoding gets the pointer once', async () => {
  await using guest = await start()
  using peer = await viewer(guest)
  await peer.send(setEncodings(0, -239))
  const [, cursor] = await update(peer, false, { x: 0, y: 0, width: 1, height: 1 })
  expect(cursor).toMatchObject({ encoding: -239, width: 11, height: 16 })
  expect(await update(peer, false, { x: 0, y: 0, width: 1, height: 1 })).toHaveLength(1)
})

test('updates for a viewer that does not read are not buffered', async () => {
  await using guest = await start()
  using peer = await viewer(guest)
  using other = await viewer(guest)
  peer.socket.pause()
  for (let round = 0; round < 64; round++) await peer.send(updateRequest(false, whole))
  // Another viewer's answers prove that the guest went on meanwhile.
  await update(other, false, whole)
  peer.socket.resume()
  // The cursor comes with the first update after this, so it marks the last of those before.
  await peer.send(Buffer.concat([setEncodings(0, -239), updateRequest(false, whole)]))
  let updates = 1
  while (!(await readUpdate(peer)).some(({ encoding }) => encoding === -239)) updates += 1
  expect(updates).toBeLessThan(64)
})

test('disposal of the guest disconnects its viewers and frees its port', async () => {
  const guest = await start()
  using peer = await viewer(guest)
  await guest[Symbol.asyncDispose]()
  await peer.closed()
  await using again = await startDemoGuest({ name: 'again', port: guest.port })
  expect(again.port).toBe(guest.port)
})

test('startDemoGuest rejects if its port is in use', async () => {
  await using guest = await start()
  await expect(startDemoGuest({ name: 'late', port: guest.port })).rejects.toThrow('EADDRINUSE')
})

interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly encoding: number
  readonly bytes: Buffer
}
type Area = Pick<Rectangle, 'x' | 'y' | 'width' | 'height'>

/** A viewer that has done the handshake and shows 32 bits per pixel. */
async function viewer(guest: DemoGuest): Promise<Peer> {
  const peer = await connectPeer(guest)
  await peer.send(Buffer.concat([Buffer.from('RFB 003.008\n'), hex('01 01')]))
  const head = await peer.read(12 + 2 + 4 + 24)
  await peer.read(head.readUInt32BE(38))
  return peer
}

async function update(peer: Peer, incremental: boolean, area: Area): Promise<Rectangle[]> {
  await peer.send(updateRequest(incremental, area))
  return readUpdate(peer)
}

/** The pixels of one area as they are now. */
async function picture(peer: Peer, area: Area): Promise<Buffer> {
  const [rectangle] = await update(peer, false, area)
  return rectangle!.bytes
}

async function readUpdate(peer: Peer): Promise<Rectangle[]> {
  const head = await peer.read(4)
  expect(head[0]).toBe(0)
  const rectangles: Rectangle[] = []
  for (let count = head.readUInt16BE(2); count > 0; count--) rectangles.push(await readRectangle(peer))
  return rectangles
}

async function readRectangle(peer: Peer): Promise<Rectangle> {
  const head = await peer.read(12)
  const [x, y, width, height] = [0, 2, 4, 6].map((offset) => head.readUInt16BE(offset)) as [
    number,
    number,
    number,
    number,
  ]
  const encoding = head.readInt32BE(8)
  const mask = encoding === -239 ? Math.ceil(width / 8) * height : 0
  return { x, y, width, height, encoding, bytes: await peer.read(width * height * 4 + mask) }
}

function updateRequest(incremental: boolean, { x, y, width, height }: Area): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.set([3, incremental ? 1 : 0])
  ;[x, y, width, height].forEach((value, index) => {
    bytes.writeUInt16BE(value, 2 + index * 2)
  })
  return bytes
}

function key(symbol: number): Buffer {
  return Buffer.concat([keyEvent(true, symbol), keyEvent(false, symbol)])
}

function keyEvent(down: boolean, symbol: number): Buffer {
  return Buffer.concat([Buffer.of(4, down ? 1 : 0, 0, 0), u32(symbol)])
}

function pointer(buttons: number, x: number, y: number): Buffer {
  const bytes = Buffer.of(5, buttons, 0, 0, 0, 0)
  bytes.writeUInt16BE(x, 2)
  bytes.writeUInt16BE(y, 4)
  return bytes
}

function setPixelFormat(format: string): Buffer {
  return Buffer.concat([hex('00 000000'), hex(format)])
}

function setEncodings(...encodings: number[]): Buffer {
  const bytes = Buffer.alloc(4 + encodings.length * 4)
  bytes[0] = 2
  bytes.writeUInt16BE(encodings.length, 2)
  encodings.forEach((encoding, index) => {
    bytes.writeInt32BE(encoding, 4 + index * 4)
  })
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
