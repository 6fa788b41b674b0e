/** RFC 6143 section 7.7.6. */
import { ProtocolError } from '../../errors.ts'
import { colourAt, type Framebuffer } from '../../screen/framebuffer.ts'
import type { Rectangle } from '../../screen/image.ts'
import type { Reading } from '../wire/feed.ts'
import { u32 } from '../wire/integers.ts'
import { inflated, ZlibStream } from '../wire/zlib-stream.ts'
import type { Decoder } from './decoder.ts'
import { tiles } from './tiles.ts'

const TILE_SIZE = 64
/** A colour without its unused byte. */
const CPIXEL_BYTES = 3
const MAX_PACKED_COLOURS = 16

/** Creates the decoder of one connection, which has one zlib stream. */
export function createZrle(): Decoder {
  const stream = new ZlibStream()
  return function* zrle(area, target) {
    yield* inflated(stream, u32(yield 4, 0), allTiles(area, target))
  }
}

function* allTiles(area: Rectangle, target: Framebuffer): Reading<void> {
  for (const tile of tiles(area, TILE_SIZE)) yield* oneTile(tile, target)
}

function* oneTile(tile: Rectangle, target: Framebuffer): Reading<void> {
  const kind = (yield 1)[0]!
  if (kind === 0) return yield* rawTile(tile, target)
  if (kind === 1) return target.fill(tile, colourAt(yield CPIXEL_BYTES, 0))
  if (kind <= MAX_PACKED_COLOURS) return yield* packedTile(tile, target, palette(yield kind * CPIXEL_BYTES))
  if (kind === 128) return yield* plainRuns(tile, target)
  if (kind >= 130) return yield* paletteRuns(tile, target, palette(yield (kind - 128) * CPIXEL_BYTES))
  throw new ProtocolError(`A ZRLE tile has the unknown kind ${kind}`)
}

const palette = (bytes: Uint8Array): number[] =>
  Array.from({ length: bytes.length / CPIXEL_BYTES }, (_, i) => colourAt(bytes, i * CPIXEL_BYTES))

function* rawTile({ x, y, width, height }: Rectangle, target: Framebuffer): Reading<void> {
  for (let row = y; row < y + height; row += 1) {
    target.writeRow(x, row, width, yield width * CPIXEL_BYTES, CPIXEL_BYTES)
  }
}

function* packedTile(tile: Rectangle, target: Framebuffer, colours: readonly number[]): Reading<void> {
  const bits = colours.length === 2 ? 1 : colours.length <= 4 ? 2 : 4
  const mask = (1 << bits) - 1
  for (let y = tile.y; y < tile.y + tile.height; y += 1) {
    const row = yield Math.ceil((tile.width * bits) / 8)
    for (let i = 0; i < tile.width; i += 1) {
      const index = (row[(i * bits) >> 3]! >> (8 - bits - ((i * bits) & 7))) & mask
      target.pixels[y * target.width + tile.x + i] = colourOf(colours, index)
    }
  }
}

function* plainRuns(tile: Rectangle, target: Framebuffer): Reading<void> {
  const run = runs(tile, target)
  while (run.left > 0) {
    const value = colourAt(yield CPIXEL_BYTES, 0)
    run.draw(value, yield* runLength())
  }
}

function* paletteRuns(tile: Rectangle, target: Framebuffer, colours: readonly number[]): Reading<void> {
  const run = runs(tile, target)
  while (run.left > 0) {
    const index = (yield 1)[0]!
    run.draw(colourOf(colours, index & 127), index & 128 ? yield* runLength() : 1)
  }
}

function* runLength(): Reading<number> {
  for (let length = 1; ; ) {
    const byte = (yield 1)[0]!
    length += byte
    if (byte !== 255) return length
    if (length > TILE_SIZE * TILE_SIZE) throw tooLong()
  }
}

/** Draws runs of pixels, which go on in the next row of a tile. */
function runs(tile: Rectangle, target: Framebuffer) {
  let at = 0
  const end = tile.width * tile.height
  return {
    get left() {
      return end - at
    },
    draw(value: number, length: number) {
      if (length > end - at) throw tooLong()
      for (const stop = at + length; at < stop; at += 1) {
        const row = Math.floor(at / tile.width)
        target.pixels[(tile.y + row) * target.width + tile.x + at - row * tile.width] = value
      }
    },
  }
}

function colourOf(colours: readonly number[], index: number): number {
  const value = colours[index]
  if (value === undefined) throw new ProtocolError('A pixel names a colour that its palette does not have')
  return value
}

const tooLong = () => new ProtocolError('A ZRLE run leaves its tile')
