/** Builds messages of an RFB server. */

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function i32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** ServerInit of a screen of 64 × 48 pixels of 32 bits, with a depth of 24. */
export const serverInit = (name: string): Buffer =>
  Buffer.concat([
    u16(64),
    u16(48),
    Buffer.of(32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0),
    u32(name.length),
    Buffer.from(name),
  ])

export const rectangle = (encoding: number, body: Buffer, width = 20, height = 17): Buffer =>
  Buffer.concat([u16(0), u16(0), u16(width), u16(height), i32(encoding), body])

/** A FramebufferUpdate. */
export const update = (...list: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.of(0, 0), u16(list.length), ...list])
