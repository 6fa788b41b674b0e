/** The Tight encoding of the RFB community specification, without JPEG and PNG, which are not requested. */
import { ProtocolError } from '../../errors.ts'
import { colourAt, type Framebuffer } from '../../screen/framebuffer.ts'
import type { Rectangle } from '../../screen/image.ts'
import type { Reading } from '../wire/feed.ts'
import { inflated, ZlibStream } from '../wire/zlib-stream.ts'
import type { Decoder } from './decoder.ts'

/** A colour without its unused byte. */
const TPIXEL_BYTES = 3
/** Shorter data is not compressed. */
const MIN_COMPRESSED_BYTES = 12
const FILL = 8
const HAS_FILTER = 4
const [COPY, PALETTE, GRADIENT] = [0, 1, 2]

/** Creates the decoder of one connection, which has four zlib streams. */
export function createTight(): Decoder {
  const streams = Array.from({ length: 4 }, () => new ZlibStream())
  return function* tight(area, target) {
    const control = (yield 1)[0]!
    for (let i = 0; i < streams.length; i += 1) if (control & (1 << i)) streams[i] = new ZlibStream()
    const kind = control >> 4
    if (kind === FILL) return target.fill(area, colourAt(yield TPIXEL_BYTES, 0))
    if (kind > FILL) throw new ProtocolError(`A Tight rectangle has the kind ${kind}, which was not requested`)
    const rows = yield* filtered(kind & HAS_FILTER ? (yield 1)[0]! : COPY, area, target)
    yield* basic(rows, streams[kind & 3]!)
  }
}

/** The rows of a rectangle behind their compression. */
interface Rows {
  readonly bytes: number
  readonly reading: Reading<void>
}

function* basic({ bytes, reading }: Rows, stream: ZlibStream): Reading<void> {
  if (bytes < MIN_COMPRESSED_BYTES) yield* reading
  else yield* inflated(stream, yield* compactLength(), reading)
}

/** A length in one to three bytes, lowest bits first. */
function* compactLength(): Reading<number> {
  const low = (yield 1)[0]!
  if (low < 128) return low
  const middle = (yield 1)[0]!
  if (middle < 128) return (low & 127) | (middle << 7)
  return (low & 127) | ((middle & 127) << 7) | ((yield 1)[0]! << 14)
}

function* filtered(filter: number, area: Rectangle, target: Framebuffer): Reading<Rows> {
  const { width, height } = area
  if (filter === COPY) return { bytes: width * height * TPIXEL_BYTES, reading: copied(area, target) }
  if (filter === GRADIENT) return { bytes: width * height * TPIXEL_BYTES, reading: predicted(area, target) }
  if (filter !== PALETTE) throw new ProtocolError(`A Tight rectangle has the unknown filter ${filter}`)
  const count = (yield 1)[0]! + 1
  const list = yield count * TPIXEL_BYTES
  const colours = Array.from({ length: count }, (_, i) => colourAt(list, i * TPIXEL_BYTES))
  if (count <= 2) return { bytes: Math.ceil(width / 8) * height, reading: twoColours(area, target, colours) }
  return { bytes: width * height, reading: indexed(area, target, colours) }
}

function* copied({ x, y, width, height }: Rectangle, target: Framebuffer): Reading<void> {
  for (let row = y; row < y + height; row += 1) {
    target.writeRow(x, row, width, yield width * TPIXEL_BYTES, TPIXEL_BYTES)
  }
}

function* twoColours(area: Rectangle, target: Framebuffer, colours: readonly number[]): Reading<void> {
  const [zero, one = zero] = colours as [number, number?]
  for (let y = area.y; y < area.y + area.height; y += 1) {
    const row = yield Math.ceil(area.width / 8)
    const start = y * target.width + area.x
    for (let i = 0; i < area.width; i += 1) target.pixels[start + i] = row[i >> 3]! & (128 >> (i & 7)) ? one : zero
  }
}

function* indexed(area: Rectangle, target: Framebuffer, colours: readonly number[]): Reading<void> {
  for (let y = area.y; y < area.y + area.height; y += 1) {
    const row = yield area.width
    const start = y * target.width + area.x
    for (let i = 0; i < area.width; i += 1) target.pixels[start + i] = colourOf(colours, row[i]!)
  }
}

function colourOf(colours: readonly number[], index: number): number {
  const value = colours[index]
  if (value === undefined) throw new ProtocolError('A pixel names a colour that its palette does not have')
  return value
}

/** Each byte is the difference to a prediction: left + above − above left, limited to 0–255. */
function* predicted(area: Rectangle, target: Framebuffer): Reading<void> {
  let above = new Uint8Array(area.width * TPIXEL_BYTES)
  for (let y = area.y; y < area.y + area.height; y += 1) {
    const differences = yield above.length
    const row = new Uint8Array(above.length)
    for (let i = 0; i < row.length; i += 1) {
      const [left, corner] = i < TPIXEL_BYTES ? [0, 0] : [row[i - TPIXEL_BYTES]!, above[i - TPIXEL_BYTES]!]
      row[i] = differences[i]! + Math.min(255, Math.max(0, left + above[i]! - corner))
    }
    target.writeRow(area.x, y, area.width, row, TPIXEL_BYTES)
    above = row
  }
}
