/** Passes messages of the proxy to the client, between the bytes of the hypervisor. */
import type { HypervisorSocket, TakeBytes } from '../hypervisor/leg.ts'
import { allocatePayload, HEADROOM_BYTES, hasHeadroom } from '../hypervisor/read-buffers.ts'

/** A message and the offset in the hypervisor's bytes before which it belongs. */
export interface Insertion {
  readonly at: number
  readonly message: Buffer
}

export class OwnMessages {
  readonly #leg: HypervisorSocket
  /** Where the relay takes bytes. */
  taker: TakeBytes | undefined
  /** The buffers of the proxy that the relay has, with the lent bytes that each is a copy of. `undefined` before the first one. */
  #own: Map<Buffer, Buffer | undefined> | undefined

  constructor(leg: HypervisorSocket) {
    this.#leg = leg
  }

  /** The number of the proxy's buffers that the client has not taken yet. */
  get pending(): number {
    return this.#own?.size ?? 0
  }

  /** Passes bytes that are lent by the leg, with a message inserted. Returns as {@link TakeBytes}. */
  pass(bytes: Buffer, insertion: Insertion | undefined): boolean {
    if (!insertion) return this.taker!(bytes)
    const { at, message } = insertion
    return at === bytes.length ? this.#passWithEnd(bytes, message) : this.#pass(inserted(bytes, insertion), bytes)
  }

  /** Passes a message alone. */
  send(message: Buffer): boolean {
    const payload = allocatePayload(message.length)
    message.copy(payload)
    return this.#pass(payload, undefined)
  }

  /** As of {@link HypervisorSocket.giveBack}. */
  giveBack(bytes: Buffer): void {
    // The original was lent until now, so that its copy counts towards the memory of a client that does not read.
    const original = this.#own?.has(bytes) ? this.#own.get(bytes) : bytes
    this.#own?.delete(bytes)
    if (original) this.#leg.giveBack(original)
  }

  #passWithEnd(bytes: Buffer, message: Buffer): boolean {
    const extended = appended(bytes, message)
    if (extended) return this.taker!(extended)
    const goesOn = this.taker!(bytes)
    return this.send(message) && goesOn
  }

  #pass(payload: Buffer, original: Buffer | undefined): boolean {
    this.#own ??= new Map()
    this.#own.set(payload, original)
    return this.taker!(payload)
  }
}

/** Writes the message into the memory behind the bytes; `undefined` if it has no room there. */
function appended(bytes: Buffer, message: Buffer): Buffer | undefined {
  const length = bytes.length + message.length
  if (!hasHeadroom(bytes) || HEADROOM_BYTES + length > bytes.buffer.byteLength) return undefined
  const extended = Buffer.from(bytes.buffer as ArrayBuffer, HEADROOM_BYTES, length)
  message.copy(extended, bytes.length)
  return extended
}

function inserted(bytes: Buffer, { at, message }: Insertion): Buffer {
  const whole = allocatePayload(bytes.length + message.length)
  bytes.copy(whole, 0, 0, at)
  message.copy(whole, at)
  bytes.copy(whole, at + message.length, at)
  return whole
}
