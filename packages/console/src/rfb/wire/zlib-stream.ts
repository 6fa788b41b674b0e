/** Zlib streams that last as long as the connection, each message of which ends with a sync flush. */
import { Unzlib } from 'fflate'
import { ProtocolError } from '../../errors.ts'
import { Feed, type Reading } from './feed.ts'

/**
 * How much is inflated at once. Deflate expands by at most 1,032, so this bounds what a hostile stream makes the inflater
 * allocate, to 4 MiB.
 */
const SLICE_BYTES = 4096

/** One zlib stream of a connection. */
export class ZlibStream {
  #output: Uint8Array[] = []
  readonly #inflater = new Unzlib((bytes) => this.#output.push(bytes))

  /** Returns what `bytes` inflates to. @throws ProtocolError if they are no part of the stream */
  inflate(bytes: Uint8Array): Uint8Array[] {
    this.#output = []
    try {
      this.#inflater.push(bytes)
    } catch (cause) {
      throw new ProtocolError('The server sent a damaged zlib stream', { cause })
    }
    return this.#output
  }
}

/**
 * Reads `length` compressed bytes, and runs `reading` on what they inflate to.
 * @throws ProtocolError unless that is exactly what `reading` asks for
 */
export function* inflated(stream: ZlibStream, length: number, reading: Reading<void>): Reading<void> {
  const feed = new Feed(reading)
  for (let left = length; left > 0; ) {
    const piece = yield Math.min(left, SLICE_BYTES)
    left -= piece.length
    for (const bytes of stream.inflate(piece)) feed.push(bytes)
    if (feed.isDone && feed.bufferedBytes > 0) throw new ProtocolError('A rectangle inflates to more than its pixels')
  }
  if (!feed.isDone) throw new ProtocolError('A rectangle inflates to less than its pixels')
}
