/**
 * The stream from the process that has a serial port open to one that reads along: frames of a type, a length and a body. The
 * opposite direction is a line of JSON, and then the input as it is.
 */
export const frameTypes = {
  /** The port's earlier output. The first frame, once the port is open. */
  earlier: 0,
  output: 1,
  /** Why the stream ends, as JSON. The last frame. */
  end: 2,
  /** As `earlier`, of a port whose output has the line of a move since it was dialled. */
  earlierMarked: 3,
} as const

export type FrameType = keyof typeof frameTypes

const FRAME_HEADER_BYTES = 5
/** More than any frame has: output is read in pieces of up to 512 KiB, and a replay has up to 1 MiB. */
const MAX_BODY_BYTES = 2 * 1024 * 1024

const NOTHING: Buffer = Buffer.alloc(0)

export function frameHeader(type: FrameType, length: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header[0] = frameTypes[type]
  header.writeUInt32BE(length, 1)
  return header
}

/** Parses frames from pieces of any size. Passes bodies of type `output` on in parts, and others whole. */
export class FrameParser {
  #header: Buffer = NOTHING
  #body: Buffer[] = []
  #type: FrameType | undefined
  #left = 0

  /**
   * Parses `bytes` until `onPart` returns `false`. Returns the bytes that are not parsed yet.
   * @throws Error if the stream is malformed
   */
  push(bytes: Buffer, onPart: (type: FrameType, part: Buffer) => boolean): Buffer {
    let rest = bytes
    for (;;) {
      if (this.#type === undefined) rest = this.#parseHeader(rest)
      if (this.#type === undefined || (rest.length === 0 && this.#left > 0)) break
      const taken = rest.subarray(0, this.#left)
      rest = rest.subarray(taken.length)
      this.#left -= taken.length
      if (!this.#pass(this.#type, taken, onPart)) break
    }
    return rest
  }

  #parseHeader(bytes: Buffer): Buffer {
    const missing = FRAME_HEADER_BYTES - this.#header.length
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, missing)])
    if (this.#header.length < FRAME_HEADER_BYTES) return NOTHING
    this.#type = typeOf(this.#header[0]!)
    this.#left = this.#header.readUInt32BE(1)
    this.#header = NOTHING
    if (this.#left > MAX_BODY_BYTES) throw new Error(`a frame has ${this.#left} bytes`)
    return bytes.subarray(missing)
  }

  #pass(type: FrameType, part: Buffer, onPart: (type: FrameType, part: Buffer) => boolean): boolean {
    const isWhole = this.#left === 0
    if (isWhole) this.#type = undefined
    if (type === 'output') return part.length === 0 || onPart(type, part)
    this.#body.push(part)
    return !isWhole || onPart(type, Buffer.concat(this.#body.splice(0)))
  }
}

function typeOf(code: number): FrameType {
  const [type] = Object.entries(frameTypes).find(([, known]) => known === code) ?? []
  if (type === undefined) throw new Error(`a frame has the unknown type ${code}`)
  return type as FrameType
}
