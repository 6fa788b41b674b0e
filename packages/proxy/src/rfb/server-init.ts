/** Reads the desktop's name from ServerInit (RFC 6143 section 7.3.2). */

/** Framebuffer width and height, 2 each; pixel format, 16; name-length, 4. */
const HEADER_BYTES = 24
const NAME_LENGTH_AT = 20
/** QEMU truncates its names to 1024 bytes. */
export const MAX_NAME_BYTES = 4096

/** Thrown for a name above {@link MAX_NAME_BYTES}: no correct hypervisor sends one. */
export class NameTooLong extends Error {
  override readonly name = 'NameTooLong'
}

/** Reads the desktop's name from pieces of any size. Keeps at most the bytes of ServerInit. */
export class ServerInitReader {
  #held = Buffer.alloc(0)

  /**
   * Processes the next piece. Copies the bytes that it keeps.
   * @returns the name, once it is complete
   * @throws NameTooLong
   */
  push(piece: Uint8Array): string | undefined {
    const rest = this.#fill(piece, HEADER_BYTES)
    if (this.#held.length < HEADER_BYTES) return undefined
    const end = HEADER_BYTES + this.#nameBytes()
    this.#fill(rest, end)
    return this.#held.length < end ? undefined : this.#held.toString('utf8', HEADER_BYTES)
  }

  #nameBytes(): number {
    const length = this.#held.readUInt32BE(NAME_LENGTH_AT)
    if (length > MAX_NAME_BYTES)
      throw new NameTooLong(`the desktop's name has ${length} bytes, the maximum is ${MAX_NAME_BYTES}`)
    return length
  }

  /** Keeps the bytes of `piece` that belong to the first `end` bytes. Returns the others. */
  #fill(piece: Uint8Array, end: number): Uint8Array {
    const missing = Math.max(0, end - this.#held.length)
    this.#held = Buffer.concat([this.#held, piece.subarray(0, missing)])
    return piece.subarray(missing)
  }
}
