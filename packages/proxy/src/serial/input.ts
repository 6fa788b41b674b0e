/** The input of a serial port while its machine moves: kept in order, and sent once the port is open again. */
import type { Reader } from './reader.ts'

/** As much as a socket buffers before it asks its writer to pause. People type little meanwhile. */
const HIGH_WATER_BYTES = 16 * 1024

/**
 * Drops no byte, since a pasted command that is cut off may do harm. Once there is enough, each writer is asked to pause after
 * its next piece, so that the memory stays bounded.
 */
export class PausedInput {
  readonly #pieces: { readonly bytes: Buffer; readonly reader: Reader }[] = []
  #length = 0

  /** Keeps a copy. Returns whether the writer may go on. */
  keep(bytes: Uint8Array, reader: Reader): boolean {
    this.#pieces.push({ bytes: Buffer.from(bytes), reader })
    this.#length += bytes.length
    return this.#length < HIGH_WATER_BYTES
  }

  /** Returns the input of the readers that are still there: that of a session that may not go on must not reach the guest. */
  take(readers: ReadonlySet<Reader>): readonly Buffer[] {
    return this.#pieces.filter(({ reader }) => readers.has(reader)).map(({ bytes }) => bytes)
  }
}
