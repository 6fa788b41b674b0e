/**
 * Decorates a leg to a VNC server so that a client's input reaches the guest only while the session may send input. Drops
 * withheld messages one by one, and forwards the others byte for byte: a viewer still has to request its picture.
 *
 * A watcher's ClientInit asks to share the desktop, because a server may disconnect all others otherwise; and its
 * SetEncodings offers no extension of the input. A session that was opened to control keeps both as they are.
 *
 * When control is taken from a session, the filter releases the keys and buttons that its client holds: the client's own
 * releases are withheld from then on, and a guest repeats a key that it believes to be held. In the middle of a message it
 * waits for the end, and ends a session that does not send it: the server then releases the keys.
 */
import { Gathered } from '../hypervisor/gathered.ts'
import type { InputPermission } from '../hypervisor/input-permission.ts'
import { ForwardingLeg, type HypervisorSocket, LegFault, type TakeBytes } from '../hypervisor/leg.ts'
import { ClientMessageParser } from './client-message-parser.ts'
import type { ContinuousUpdates } from './continuous-updates.ts'
import { PassedBytes } from './passed-bytes.ts'
import { PressedInput } from './pressed-input.ts'
import { listsExtendedMouseButtons, MAX_SET_ENCODINGS_BYTES, withoutExtensions } from './watcher-encodings.ts'
import { type ClientMessage, setEncodings } from './wire/client-messages.ts'

const SHARED = Buffer.of(1)
/** How long a client that lost control may take to finish its message. Long enough for a clipboard of 1 MiB. */
const UNFINISHED_MS = 10_000

/**
 * Withholds input while `permission.mayInput` is `false`. A message that began under one rule ends under it.
 *
 * A message that the proxy does not know ends a watcher's session, and one that has given control away, as `protocol_error`.
 * A session that has control goes on without being parsed, so that clients with extensions of their own keep working, and
 * `permission.canWithhold` becomes `false`.
 *
 * @param updates sends its own requests through the filter, and takes the messages that are for it. Then an unknown message
 *   ends every session: the server must not receive the client's fences
 */
export function filterInput(
  leg: HypervisorSocket,
  permission: InputPermission,
  updates?: ContinuousUpdates,
): HypervisorSocket {
  const filter = new InputFilter(leg, permission, updates)
  permission.onWithheld = () => filter.releaseAll()
  if (updates) updates.onRequest = (message) => filter.insert(message)
  return filter
}

/**
 * `pass`: at once. `pass-known`: as soon as the header is complete, so that the server sees no part of a malformed message.
 * `drop`: never. `rewrite`: as another message, once it is complete. `ask`: if it is not for {@link ContinuousUpdates}, once it
 * is complete.
 */
type Fate = 'pass' | 'pass-known' | 'drop' | 'rewrite' | 'ask'

class InputFilter extends ForwardingLeg {
  readonly #permission: InputPermission
  readonly #updates: ContinuousUpdates | undefined
  readonly #parser = new ClientMessageParser()
  readonly #close: (cause: Error | undefined) => void
  /** The fate of the message that the parser is in. */
  #fate: Fate = 'pass'
  /** Whether the message that the parser is in is read once it is complete. */
  #isRead = false
  readonly #pressed = new PressedInput()
  /** The bytes of a message that is read once it is complete. */
  #gathered: Gathered | undefined
  #hasEnded = false
  #isWriting = false
  /**
   * Whether a list without the extended mouse buttons followed one with them. Servers differ in whether they read the longer
   * PointerEvents after that.
   */
  #hasUnlistedMouseButtons = false
  /** A message of the proxy that waits for the end of one of the client. */
  #inserted: Buffer | undefined
  /** Runs while a client that lost control has not finished its message. */
  #unfinished: NodeJS.Timeout | undefined

  constructor(leg: HypervisorSocket, permission: InputPermission, updates: ContinuousUpdates | undefined) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    super(leg, promise)
    this.#close = resolve
    this.#permission = permission
    this.#updates = updates
    leg.closed.then((cause) => {
      this.#stop()
      updates?.stop()
      this.#close(cause)
    })
  }

  override take(taker: TakeBytes): void {
    if (this.#updates) this.#updates.take(taker)
    else this.leg.take(taker)
  }

  override giveBack(bytes: Buffer): void {
    if (this.#updates) this.#updates.giveBack(bytes)
    else this.leg.giveBack(bytes)
  }

  /** Dropped bytes count as written. */
  override write(bytes: Uint8Array): boolean {
    const passed = new PassedBytes(asBuffer(bytes))
    this.#isWriting = true
    let at = 0
    while (at < bytes.length && !this.#hasEnded) {
      at = this.#step(passed, at)
      if (this.#isBetweenPassed) this.#stopWaiting()
      if (this.#mustRelease) passed.insert(this.#pressed.takeReleases())
      if (this.#inserted && this.#isBetweenPassed) passed.insert(this.#takeInserted())
    }
    this.#isWriting = false
    return passed.writeTo(this.leg)
  }

  /** Sends a message of the proxy to the server, at once or after the client's message. Replaces one that still waits. */
  insert(message: Buffer): void {
    this.#inserted = message
    if (!this.#isWriting && this.#isBetweenPassed && !this.#hasEnded) this.leg.write(this.#takeInserted())
  }

  #takeInserted(): Buffer {
    const message = this.#inserted!
    this.#inserted = undefined
    return message
  }

  /** Releases what the client holds, or leaves that to the end of the message that the server is reading. */
  releaseAll(): void {
    if (this.#mustRelease) this.leg.write(this.#pressed.takeReleases())
    if (this.#isWithinPassed) this.#awaitEndOfMessage()
  }

  #awaitEndOfMessage(): void {
    this.#stopWaiting()
    this.#unfinished = setTimeout(() => {
      if (!this.#permission.mayInput) this.#endAsFault('no end of its message after it lost control')
    }, UNFINISHED_MS)
  }

  #stopWaiting(): void {
    clearTimeout(this.#unfinished)
    this.#unfinished = undefined
  }

  #stop(): void {
    this.#hasEnded = true
    this.#stopWaiting()
  }

  get #mustRelease(): boolean {
    return !this.#permission.mayInput && !this.#pressed.isEmpty && !this.#hasEnded && this.#isBetweenPassed
  }

  /** Whether the server has received whole messages only. */
  get #isBetweenPassed(): boolean {
    const { state } = this.#parser
    if (state === 'header') return this.#fate !== 'pass'
    return state === 'between' || (state === 'body' && this.#fate !== 'pass' && this.#fate !== 'pass-known')
  }

  /** Whether the server has received a part of a message, or bytes that are not parsed. */
  get #isWithinPassed(): boolean {
    return !this.#hasEnded && !this.#isBetweenPassed && this.#parser.state !== 'ClientInit' && this.#fate !== 'drop'
  }

  /** Decides on the bytes from `at` to the end of one message. Returns the offset of the next one. */
  #step(passed: PassedBytes, at: number): number {
    const { state, held } = this.#parser
    if (this.#updates?.hasExtendedMouseButtons) this.#parser.serverHasMouseButtons = !this.#hasUnlistedMouseButtons
    const end = this.#parser.advance(passed.bytes, at)
    if (state === 'ClientInit') this.#passClientInit(passed, at)
    else {
      if (state === 'between') this.#beginMessage()
      if (this.#parser.state === 'unknown') this.#passUnknown(passed, at)
      else this.#passKnown(passed, held, at, end)
    }
    return end
  }

  #passClientInit(passed: PassedBytes, at: number): void {
    if (this.#permission.role === 'watch') passed.insert(SHARED)
    else passed.keep(at, at + 1)
  }

  #beginMessage(): void {
    const { message } = this.#parser
    this.#fate = this.#fateOfMessage()
    this.#isRead = message !== undefined && this.#fate !== 'drop' && this.#wantsToRead(message)
  }

  #wantsToRead(message: ClientMessage): boolean {
    return message.isPressing || (this.#updates?.wantsToRead(message) ?? false)
  }

  #fateOfMessage(): Fate {
    const { role, mayInput } = this.#permission
    const { message } = this.#parser
    if (message && this.#updates?.mayTake(message)) return 'ask'
    if (role === 'control' && mayInput) return 'pass'
    if (message?.isInput && !mayInput) return 'drop'
    return role === 'watch' && message === setEncodings ? 'rewrite' : 'pass-known'
  }

  #passUnknown(passed: PassedBytes, at: number): void {
    const isUnaided = this.#updates?.giveUp() ?? true
    const goesOn = this.#fate === 'pass' && this.#permission.mayInput && isUnaided
    if (goesOn) passed.keep(at, passed.bytes.length)
    else this.#endAsFault(this.#unknownSince(passed.bytes[at]!))
    this.#permission.canWithhold = false
  }

  #unknownSince(type: number): string {
    const { message } = this.#parser
    if (!this.#permission.canWithhold) return 'bytes after it gave control away, which cannot be told from input'
    return message ? `a malformed ${message.name} message` : `a message of the unknown type ${type}`
  }

  #passKnown(passed: PassedBytes, held: Buffer, at: number, end: number): void {
    if (this.#fate === 'pass') passed.keep(at, end)
    else if (this.#fate === 'pass-known' && this.#parser.state !== 'header') {
      passed.insert(held)
      passed.keep(at, end)
    }
    const { message } = this.#parser
    if (message === setEncodings) this.#readEncodings(passed, at, end)
    else if (message && this.#isRead) this.#readMessage(passed, message, at, end)
  }

  /** Gathers a SetEncodings message up to the maximum size, and uses it once it is complete. */
  #readEncodings(passed: PassedBytes, at: number, end: number): void {
    const room = MAX_SET_ENCODINGS_BYTES + 1 - (this.#gathered?.length ?? 0)
    this.#gather(passed.bytes.subarray(at, Math.min(end, at + room)))
    const isTooLong = this.#gathered!.length > MAX_SET_ENCODINGS_BYTES
    if (isTooLong && this.#fate === 'rewrite')
      this.#endAsFault(`a SetEncodings message of more than ${MAX_SET_ENCODINGS_BYTES} bytes`)
    else if (this.#parser.state === 'between') this.#useEncodings(passed, isTooLong)
  }

  #readMessage(passed: PassedBytes, message: ClientMessage, at: number, end: number): void {
    const isComplete = this.#parser.state === 'between'
    const piece = passed.bytes.subarray(at, end)
    if (!isComplete || this.#gathered) this.#gather(piece)
    if (!isComplete) return
    const whole = this.#gathered ? this.#takeGathered() : piece
    if (message.isPressing) this.#pressed.read(whole)
    else if (this.#updates!.read(message, whole) && this.#fate === 'ask') passed.insert(whole)
  }

  #gather(piece: Buffer): void {
    this.#gathered ??= new Gathered()
    this.#gathered.append(piece)
  }

  #takeGathered(): Buffer {
    const message = this.#gathered!.take()
    this.#gathered = undefined
    return message
  }

  #useEncodings(passed: PassedBytes, isTooLong: boolean): void {
    const message = this.#takeGathered()
    this.#updates?.readEncodings(isTooLong ? undefined : message)
    if (this.#fate === 'rewrite') passed.insert(withoutExtensions(message))
    else this.#readMouseButtons(isTooLong ? undefined : listsExtendedMouseButtons(message))
  }

  /** @param isListed `undefined` for a list that is too long to be read */
  #readMouseButtons(isListed: boolean | undefined): void {
    if (isListed !== true && this.#parser.extendedMouseButtons) this.#hasUnlistedMouseButtons = true
    if (isListed !== false) this.#parser.extendedMouseButtons = true
  }

  #endAsFault(sent: string): void {
    this.#stop()
    this.#close(new LegFault('protocol_error', `the client sent ${sent}`))
  }
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
