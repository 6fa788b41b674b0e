/** ServerInit (RFC 6143 section 7.3.2) as far as a proxy reads it: up to the desktop's name. */

/** Framebuffer width and height, 2 each; pixel format, 16; name-length, 4. */
const HEADER_BYTES = 24
const NAME_LENGTH_AT = 20
/** QEMU cuts its names at 1024 bytes. */
export const MAX_NAME_BYTES = 4096

/** A name that no hypervisor of good will sends. */
export class NameTooLong extends Error {
  override readonly name = 'NameTooLong'
}

/** Finds the desktop's name in pieces of any size, of which it keeps no more than ServerInit. */
export class ServerInitReader {
  #held = Buffer.alloc(0)

  /**
   * Takes the next piece, and copies what it needs of it.
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
    if (length > MAX_NAME_BYTES) throw new NameTooLong(`its desktop name claims ${length} bytes`)
    return length
  }

  /** Holds what `piece` has of the first `end` bytes, and gives the others. */
  #fill(piece: Uint8Array, end: number): Uint8Array {
    const missing = Math.max(0, end - this.#held.length)
    this.#held = Buffer.concat([this.#held, piece.subarray(0, missing)])
    return piece.subarray(missing)
  }
}
