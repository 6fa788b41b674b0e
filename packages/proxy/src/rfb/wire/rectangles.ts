/**
 * The sizes of rectangles in a FramebufferUpdate, by their encoding: those of RFC 6143 section 7.7, and those of the RFB
 * community specification that noVNC and QEMU know. A new encoding is one line of {@link rectangles}.
 */
import { jpegImage } from './jpeg.ts'
import type { PixelFormat } from './pixel-format.ts'
import { type Reading, skip, skipSized, UnknownSize } from './reading.ts'

export interface Rectangle {
  readonly width: number
  readonly height: number
  readonly format: PixelFormat
}

type Body = (rectangle: Rectangle) => Reading

/** Ends an update before the announced number of rectangles. */
export const LAST_RECT = -224
export const EXTENDED_MOUSE_BUTTONS = -316

/** A body of as many bytes for each pixel. */
const raw: Body = ({ width, height, format }) => skip(width * height * format.bytesPerPixel)
const fixed =
  (size: number): Body =>
  () =>
    skip(size)
const sized: Body = () => skipSized()
const maskBytes = ({ width, height }: Rectangle) => Math.ceil(width / 8) * height

/** By the number of the encoding. */
export const rectangles: ReadonlyMap<number, Body> = new Map<number, Body>([
  [0, raw],
  // CopyRect
  [1, fixed(4)],
  // RRE and CoRRE, which differ in the size of a subrectangle's coordinates.
  [2, subrectangles(8)],
  [4, subrectangles(4)],
  [5, hextile],
  // zlib
  [6, sized],
  [7, tight],
  // ZRLE
  [16, sized],
  [21, jpegImage],
  // H.264: the length is before the flags.
  [50, h264],
  // TightPNG
  [-260, tight],
  // DesktopSize
  [-223, fixed(0)],
  [-239, cursor],
  [-240, xCursor],
  // QEMU: pointer motion change, extended key event and audio are announced by an empty rectangle; the LED state is a byte.
  [-257, fixed(0)],
  [-258, fixed(0)],
  [-259, fixed(0)],
  [-261, fixed(1)],
  // DesktopName
  [-307, sized],
  [-308, screens],
  [EXTENDED_MOUSE_BUTTONS, fixed(0)],
  [0x574d5664, vmwareCursor],
])

function subrectangles(coordinateBytes: number): Body {
  return function* body({ format: { bytesPerPixel } }) {
    const count = (yield 4).readUInt32BE()
    yield* skip(bytesPerPixel + count * (bytesPerPixel + coordinateBytes))
  }
}

const TILE_SIZE = 16
const tileFlags = { raw: 1, background: 2, foreground: 4, subrectangles: 8, coloured: 16 } as const

function* hextile({ width, height, format: { bytesPerPixel } }: Rectangle): Reading {
  // The loop over the rows reads nothing then, and a server may send many such rectangles.
  if (width === 0) return
  for (let top = 0; top < height; top += TILE_SIZE) {
    const tileHeight = Math.min(TILE_SIZE, height - top)
    for (let left = 0; left < width; left += TILE_SIZE) {
      const flags = (yield 1)[0]!
      if (flags & tileFlags.raw) yield* skip(Math.min(TILE_SIZE, width - left) * tileHeight * bytesPerPixel)
      else if (flags !== 0) yield* hextileColours(flags, bytesPerPixel)
    }
  }
}

function* hextileColours(flags: number, bytesPerPixel: number): Reading {
  if (flags & tileFlags.background) yield* skip(bytesPerPixel)
  if (flags & tileFlags.foreground) yield* skip(bytesPerPixel)
  if (!(flags & tileFlags.subrectangles)) return
  const count = (yield 1)[0]!
  yield* skip(count * (flags & tileFlags.coloured ? bytesPerPixel + 2 : 2))
}

const tightKinds = { fill: 8, jpeg: 9, png: 10 } as const
const HAS_FILTER = 4
const [COPY, PALETTE, GRADIENT] = [0, 1, 2]
/** Tight does not compress less than this, and then sends no length. */
const MIN_COMPRESSED_BYTES = 12

/** A basic rectangle, an image or a single colour, as the upper half of the first byte says. */
function* tight(rectangle: Rectangle): Reading {
  const pixelBytes = rectangle.format.tightBytes
  if (pixelBytes === undefined) throw new UnknownSize('the size of a pixel in Tight')
  const kind = (yield 1)[0]! >> 4
  if (kind === tightKinds.fill) yield* skip(pixelBytes)
  else if (kind === tightKinds.jpeg || kind === tightKinds.png) yield* skip(yield* compactLength())
  else if (kind > tightKinds.png) throw new UnknownSize(`a Tight rectangle of the kind ${kind}`)
  else yield* tightBasic(kind & HAS_FILTER ? (yield 1)[0]! : COPY, rectangle, pixelBytes)
}

function* tightBasic(filter: number, rectangle: Rectangle, pixelBytes: number): Reading {
  const bytes = yield* filteredBytes(filter, rectangle, pixelBytes)
  yield* skip(bytes < MIN_COMPRESSED_BYTES ? bytes : yield* compactLength())
}

/** Returns the size before compression. */
function* filteredBytes(filter: number, rectangle: Rectangle, pixelBytes: number): Reading<number> {
  const { width, height } = rectangle
  if (filter === COPY || filter === GRADIENT) return width * height * pixelBytes
  if (filter !== PALETTE) throw new UnknownSize(`a Tight rectangle with the filter ${filter}`)
  const colours = (yield 1)[0]! + 1
  yield* skip(colours * pixelBytes)
  return colours <= 2 ? maskBytes(rectangle) : width * height
}

/** A length in one to three bytes, lowest bits first. */
function* compactLength(): Reading<number> {
  const low = (yield 1)[0]!
  if (low < 128) return low
  const middle = (yield 1)[0]!
  if (middle < 128) return (low & 127) | (middle << 7)
  return (low & 127) | ((middle & 127) << 7) | ((yield 1)[0]! << 14)
}

function* h264(): Reading {
  yield* skip((yield 8).readUInt32BE())
}

function* cursor(rectangle: Rectangle): Reading {
  yield* raw(rectangle)
  yield* skip(maskBytes(rectangle))
}

/** Two colours and two masks; nothing for an empty cursor. */
function* xCursor(rectangle: Rectangle): Reading {
  if (rectangle.width * rectangle.height > 0) yield* skip(6 + 2 * maskBytes(rectangle))
}

/** Two masks of pixels, or pixels with transparency. */
function* vmwareCursor({ width, height, format }: Rectangle): Reading {
  const kind = (yield 2)[0]!
  if (kind > 1) throw new UnknownSize(`a VMware cursor of the kind ${kind}`)
  yield* skip(width * height * (kind === 0 ? 2 * format.bytesPerPixel : 4))
}

/** ExtendedDesktopSize. */
function* screens(): Reading {
  yield* skip((yield 4)[0]! * 16)
}
