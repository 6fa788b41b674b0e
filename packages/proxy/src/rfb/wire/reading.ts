/**
 * How a part of the server's messages is read: a generator that yields a positive number for the bytes that it needs next, and
 * receives exactly those; a negative one for bytes to skip unseen; or {@link PAST_MARKER}. No part needs more than
 * {@link MAX_NEEDED_BYTES} at once, so that little is buffered, whatever sizes a server announces.
 */
export type Reading<T = void> = Generator<number, T, Buffer>

export const MAX_NEEDED_BYTES = 32
/** Skips bytes up to and with the next 0xff, which begins every marker of a JPEG image. */
export const PAST_MARKER = Number.NEGATIVE_INFINITY
export const MARKER = 0xff

/** Thrown for bytes whose size is not known. The next message could begin anywhere. */
export class UnknownSize extends Error {
  override readonly name = 'UnknownSize'
}

/** Skips bytes unseen. */
export function* skip(count: number): Reading {
  if (count > 0) yield -count
}

/** Reads the length of a body in four bytes, and skips the body. */
export function* skipSized(): Reading {
  yield* skip((yield 4).readUInt32BE())
}
