/** RFC 6143 section 7.7.4. */
import { ProtocolError } from '../../errors.ts'
import { colour, colourAt, type Framebuffer } from '../../screen/framebuffer.ts'
import type { Rectangle } from '../../screen/image.ts'
import type { Reading } from '../wire/feed.ts'
import type { Decoder } from './decoder.ts'
import { raw } from './raw.ts'
import { tiles } from './tiles.ts'

const TILE_SIZE = 16
const RAW = 1
const BACKGROUND = 2
const FOREGROUND = 4
const SUBRECTS = 8
const COLOURED = 16

/** The colours that a tile inherits from the tile before. */
interface Colours {
  background: number
  foreground: number
}

export const hextile: Decoder = function* hextile(area, target) {
  const black = colour(0, 0, 0)
  const colours: Colours = { background: black, foreground: black }
  for (const tile of tiles(area, TILE_SIZE)) {
    const flags = (yield 1)[0]!
    if (flags & RAW) yield* raw(tile, target)
    else yield* subdivided(flags, tile, target, colours)
  }
}

function* subdivided(flags: number, tile: Rectangle, target: Framebuffer, colours: Colours): Reading<void> {
  if (flags & BACKGROUND) colours.background = colourAt(yield 4, 0)
  if (flags & FOREGROUND) colours.foreground = colourAt(yield 4, 0)
  target.fill(tile, colours.background)
  if (!(flags & SUBRECTS)) return
  const count = (yield 1)[0]!
  for (let i = 0; i < count; i += 1) {
    const own = flags & COLOURED ? colourAt(yield 4, 0) : undefined
    target.fill(subrect(yield 2, tile), own ?? colours.foreground)
  }
}

function subrect(bytes: Uint8Array, tile: Rectangle): Rectangle {
  const [position, size] = [bytes[0]!, bytes[1]!]
  const [x, y, width, height] = [position >> 4, position & 15, (size >> 4) + 1, (size & 15) + 1]
  if (x + width > tile.width || y + height > tile.height)
    throw new ProtocolError('A Hextile subrectangle leaves its tile')
  return { x: tile.x + x, y: tile.y + y, width, height }
}
