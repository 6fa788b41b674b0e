/** Builds what a VNC server sends, and plays it to a client. */
import { constants, createDeflate } from 'node:zlib'
import { RfbClient, type RfbEvents } from '../../src/rfb/client.ts'
import { allEncodings } from '../../src/rfb/encodings/index.ts'
import { Framebuffer } from '../../src/screen/framebuffer.ts'

export const u16 = (value: number) => Buffer.of(value >> 8, value & 0xff)
export const u32 = (value: number) => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)])
const text = (value: string) => Buffer.from(value, 'latin1')

/** Everything up to the first message, of RFB 3.8 with the security type None. */
export const hello = (width: number, height: number, name = 'web-1') =>
  Buffer.concat([text('RFB 003.008\n'), Buffer.of(1, 1), u32(0), serverInit(width, height, name)])

export const serverInit = (width: number, height: number, name = 'web-1') =>
  Buffer.concat([u16(width), u16(height), Buffer.alloc(16), u32(name.length), text(name)])

/** A FramebufferUpdate. @param count default: the number of rectangles */
export const update = (rectangles: readonly Buffer[], count = rectangles.length) =>
  Buffer.concat([Buffer.of(0, 0), u16(count), ...rectangles])

/** @param area x, y, width and height */
export const rectangle = (encoding: number, area: readonly [number, number, number, number], ...data: Uint8Array[]) =>
  Buffer.concat([...area.map(u16), u32(encoding), ...data])

/** The colours of pictures in tests, by a letter. */
const colours = { '.': 0x000000, r: 0xff0000, g: 0x00ff00, b: 0x0000ff, w: 0xffffff, o: 0xff8001, p: 0x112233 }
export type Letter = keyof typeof colours

/** Pixels of four bytes, of which the last is not used. */
export const pixels = (letters: string) =>
  Buffer.concat([...letters].map((letter) => Buffer.concat([rgb(letter), Buffer.of(99)])))
/** Pixels of three bytes. */
export const rgbs = (letters: string) => Buffer.concat([...letters].map(rgb))
const rgb = (letter: string) => u32(colours[letter as Letter]).subarray(1)

/** Returns the rows of a picture as letters. A colour that has none is an X. */
export function rowsOf({ width, height, rgba }: { width: number; height: number; rgba: Uint8Array }): string[] {
  const letters = new Map(Object.entries(colours).map(([letter, value]) => [value, letter]))
  const letter = (at: number) => {
    const value = Buffer.from(rgba.buffer, rgba.byteOffset + at, 4).readUInt32BE()
    return (value & 0xff) === 0xff ? (letters.get(value >>> 8) ?? 'X') : 'X'
  }
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => letter((y * width + x) * 4)).join(''),
  )
}

/** A client that has been sent bytes, and what it sent and reported. */
export function createClient({ maxPixels = 1 << 16 }: { maxPixels?: number } = {}) {
  const framebuffer = new Framebuffer(maxPixels)
  const sent: Buffer[] = []
  const events: { [K in keyof RfbEvents]: unknown[] } = {
    ...{ send: [], onInit: [], onUpdate: [], onCursor: [], onBell: [], onClipboard: [] },
  }
  const client = new RfbClient(
    { framebuffer, encodings: allEncodings, shared: true },
    {
      send: (bytes) => sent.push(Buffer.from(bytes)),
      onInit: (name) => events.onInit.push(name),
      onUpdate: (change) => events.onUpdate.push(change),
      onCursor: (cursor) => events.onCursor.push(cursor),
      onBell: () => events.onBell.push(true),
      onClipboard: (clipboard) => events.onClipboard.push(clipboard),
    },
  )
  return {
    client,
    framebuffer,
    events,
    /** Passes the bytes in pieces that begin at `cuts`. */
    receive(bytes: Uint8Array, ...cuts: number[]) {
      let from = 0
      for (const to of [...cuts, bytes.length]) {
        client.receive(Uint8Array.from(bytes.subarray(from, to)))
        from = to
      }
    },
    /** What the client has sent since the call before, as hexadecimal digits. */
    sent: () => Buffer.concat(sent.splice(0)).toString('hex'),
    rows: () => rowsOf(framebuffer),
  }
}

/** Returns the pieces of one zlib stream that end each message with a sync flush. */
export async function syncFlushed(...messages: Uint8Array[]): Promise<Buffer[]> {
  const deflate = createDeflate()
  const pieces: Buffer[] = []
  for (const message of messages) {
    deflate.write(message)
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve))
    const parts: Buffer[] = []
    for (let part = deflate.read(); part !== null; part = deflate.read()) parts.push(part)
    pieces.push(Buffer.concat(parts))
  }
  return pieces
}
