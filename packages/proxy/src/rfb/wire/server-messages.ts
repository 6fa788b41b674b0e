/**
 * The messages that a server sends from ServerInit on: those of RFC 6143 section 7.6, and the extensions of the RFB community
 * specification. A new message is one line of {@link serverMessages}.
 */
import { PIXEL_FORMAT_BYTES, type PixelFormat, pixelFormatAt } from './pixel-format.ts'
import { type Reading, skip, skipSized, UnknownSize } from './reading.ts'
import { EXTENDED_MOUSE_BUTTONS, LAST_RECT, rectangles } from './rectangles.ts'

/** What the sizes of messages depend on. */
export interface StreamContext {
  readonly format: PixelFormat
  /** Whether the server has announced the extended mouse buttons. */
  hasExtendedMouseButtons: boolean
}

export const serverTypes = {
  FramebufferUpdate: 0,
  EndOfContinuousUpdates: 150,
  ServerFence: 248,
} as const

/** By the message's type. Each reads the bytes after the type. */
export const serverMessages: Readonly<Record<number, (context: StreamContext) => Reading>> = {
  [serverTypes.FramebufferUpdate]: framebufferUpdate,
  1: setColourMapEntries,
  // Bell
  2: () => skip(0),
  3: serverCutText,
  [serverTypes.EndOfContinuousUpdates]: () => skip(0),
  [serverTypes.ServerFence]: serverFence,
  // xvp
  250: () => skip(3),
  255: qemu,
}

/** Width and height, the pixel format, and the name. Returns the format. */
export function* serverInit(): Reading<PixelFormat> {
  // Before the name: what arrives next may reuse the memory.
  const format = pixelFormatAt(yield 4 + PIXEL_FORMAT_BYTES, 4)
  yield* skipSized()
  return format
}

function* framebufferUpdate(context: StreamContext): Reading {
  const count = (yield 3).readUInt16BE(1)
  for (let i = 0; i < count; i += 1) if (!(yield* rectangle(context))) return
}

/** Returns whether another rectangle may follow. */
function* rectangle(context: StreamContext): Reading<boolean> {
  const header = yield 12
  const encoding = header.readInt32BE(8)
  if (encoding === LAST_RECT) return false
  if (encoding === EXTENDED_MOUSE_BUTTONS) context.hasExtendedMouseButtons = true
  const body = rectangles.get(encoding)
  if (!body) throw new UnknownSize(`a rectangle of the encoding ${encoding}`)
  yield* body({ width: header.readUInt16BE(4), height: header.readUInt16BE(6), format: context.format })
  return true
}

function* setColourMapEntries(): Reading {
  yield* skip((yield 5).readUInt16BE(3) * 6)
}

/** The extended clipboard uses the negative of its length. */
function* serverCutText(): Reading {
  yield* skip(Math.abs((yield 7).readInt32BE(3)))
}

function* serverFence(): Reading {
  yield* skip((yield 8)[7]!)
}

const [AUDIO, AUDIO_DATA] = [1, 2]

function* qemu(): Reading {
  const header = yield 3
  const operation = header.readUInt16BE(1)
  if (header[0] !== AUDIO || operation > AUDIO_DATA)
    throw new UnknownSize(`a message of QEMU, ${header.toString('hex')}`)
  if (operation === AUDIO_DATA) yield* skipSized()
}
