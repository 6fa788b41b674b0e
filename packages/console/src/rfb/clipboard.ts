/** The extended clipboard of the RFB community specification, for text. */
import { Unzlib, zlibSync } from 'fflate'
import { ProtocolError } from '../errors.ts'
import { cutText, extendedCutText } from './client-messages.ts'
import { u32, u32Bytes } from './wire/integers.ts'

const TEXT = 1
const CAPS = 1 << 24
const REQUEST = 1 << 25
const NOTIFY = 1 << 27
const PROVIDE = 1 << 28
/** The longest text that is read, in bytes of UTF-8. */
export const MAX_CLIPBOARD_BYTES = 1 << 20
const SLICE_BYTES = 1024

export interface ClipboardEvents {
  send(message: Uint8Array): void
  /** The guest, or another client, has copied this text. */
  onText(text: string): void
}

/** The clipboard of one connection. */
export class Clipboard {
  readonly #events: ClipboardEvents
  #isExtended = false
  #own = ''

  constructor(events: ClipboardEvents) {
    this.#events = events
  }

  /** Whether the server has announced the extended clipboard. */
  get isExtended(): boolean {
    return this.#isExtended
  }

  /** Puts `text` into the clipboard of the server, which gets it when the guest asks for it. */
  set(text: string): void {
    this.#own = text
    this.#events.send(this.#isExtended ? extendedCutText(NOTIFY | TEXT) : cutText(text.replaceAll('\r\n', '\n')))
  }

  /** Tells the server once more what this client is capable of, which changes nothing. */
  announce(): void {
    this.#events.send(extendedCutText(CAPS | REQUEST | NOTIFY | PROVIDE | TEXT, Uint8Array.from(u32Bytes(0))))
  }

  /** Takes the text of a message that is not extended. */
  takePlain(latin1: Uint8Array): void {
    this.#events.onText(Array.from(latin1, (byte) => String.fromCharCode(byte)).join(''))
  }

  /** Takes the content of an extended message. */
  take(content: Uint8Array): void {
    const flags = u32(content, 0)
    if (flags & CAPS) {
      this.#isExtended = true
      this.announce()
    } else if (flags & NOTIFY && flags & TEXT) this.#events.send(extendedCutText(REQUEST | TEXT))
    else if (flags & REQUEST && flags & TEXT) this.#provide()
    else if (flags & PROVIDE && flags & TEXT) this.#events.onText(provided(content.subarray(4)))
  }

  #provide(): void {
    const text = new TextEncoder().encode(`${this.#own.replace(/\r\n?|\n/g, '\r\n')}\0`)
    const data = new Uint8Array(4 + text.length)
    data.set(u32Bytes(text.length))
    data.set(text, 4)
    this.#events.send(extendedCutText(PROVIDE | TEXT, zlibSync(data)))
  }
}

/** Returns the text in a compressed message: its length, and UTF-8 with CRLF and mostly a NUL at the end. */
function provided(compressed: Uint8Array): string {
  const data = inflateAtMost(compressed, MAX_CLIPBOARD_BYTES + 4)
  if (data.length < 4) throw new ProtocolError('The server sent a clipboard without its length')
  const text = new TextDecoder().decode(data.subarray(4, 4 + u32(data, 0)))
  return text.replace(/\0$/, '').replaceAll('\r\n', '\n')
}

function inflateAtMost(compressed: Uint8Array, maxBytes: number): Uint8Array {
  const whole = new Uint8Array(maxBytes)
  let length = 0
  const inflater = new Unzlib((bytes) => {
    const part = bytes.subarray(0, maxBytes - length)
    whole.set(part, length)
    length += part.length
  })
  try {
    for (let at = 0; at < compressed.length && length < maxBytes; at += SLICE_BYTES) {
      inflater.push(compressed.subarray(at, at + SLICE_BYTES))
    }
  } catch (cause) {
    throw new ProtocolError('The server sent a damaged clipboard', { cause })
  }
  return whole.subarray(0, length)
}
