/**
 * Masks the payloads of WebSocket frames (RFC 6455 section 5.3) 32 bits at a time. The programs contain this module in place
 * of `bufferutil`, the native module for which `ws` asks: `ws` itself masks byte by byte. It has the functions of that module
 * and their parameters.
 */

const WORD_BYTES = Uint32Array.BYTES_PER_ELEMENT
/** Below this, a view of the buffer costs more than it saves. Keys and pointer events are shorter. */
const SHORT_BYTES = 512

/** Unmasks `buffer` in place. Masking is its own inverse. */
export function unmask(buffer: Uint8Array, mask: Uint8Array): void {
  if (buffer.length < SHORT_BYTES) {
    unmaskBytes(buffer, mask, 0, buffer.length)
    return
  }
  const head = (WORD_BYTES - (buffer.byteOffset % WORD_BYTES)) % WORD_BYTES
  const words = Math.floor((buffer.length - head) / WORD_BYTES)
  unmaskBytes(buffer, mask, 0, head)
  unmaskWords(new Uint32Array(buffer.buffer, buffer.byteOffset + head, words), mask, head)
  unmaskBytes(buffer, mask, head + words * WORD_BYTES, buffer.length)
}

/** Writes the masked first `length` bytes of `source` into `output` at `offset`. */
export function mask(source: Uint8Array, key: Uint8Array, output: Uint8Array, offset: number, length: number): void {
  const target = output.subarray(offset, offset + length)
  target.set(source.subarray(0, length))
  unmask(target, key)
}

function unmaskBytes(buffer: Uint8Array, mask: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i += 1) buffer[i]! ^= mask[i & 3]!
}

/** @param at the position of the first word in the payload */
function unmaskWords(words: Uint32Array, mask: Uint8Array, at: number): void {
  // In the order of this processor's bytes, like the words.
  const [word] = new Uint32Array(Uint8Array.from({ length: WORD_BYTES }, (_, i) => mask[(at + i) & 3]!).buffer)
  for (let i = 0; i < words.length; i += 1) words[i]! ^= word!
}
