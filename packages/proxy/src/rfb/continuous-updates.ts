/**
 * Gives a client continuous updates on behalf of a VNC server that does not have them, such as QEMU. Otherwise noVNC requests
 * an update only once it has the one before, so that a busy screen shows one picture in each round trip.
 *
 * The client offers the pseudo-encodings Fence and ContinuousUpdates. A server that has the two announces them before its first
 * update; then they are left to it. After the first update of any other server the proxy announces them itself, keeps the
 * client's messages of the two extensions from the server, and requests an update as each one ends. It paces these requests by
 * fences (`update-pacing.ts`).
 *
 * All bytes of the server pass unchanged and in order, with the proxy's messages between messages of the server.
 */
import type { HypervisorSocket, TakeBytes } from '../hypervisor/leg.ts'
import { offersUpdates } from './offered-updates.ts'
import { OwnMessages } from './own-messages.ts'
import { ServerMessageParser } from './server-message-parser.ts'
import { UpdatePacing } from './update-pacing.ts'
import { encodingsOf } from './watcher-encodings.ts'
import {
  type ClientMessage,
  clientFence,
  enableContinuousUpdates,
  setPixelFormat,
  updateRequest,
} from './wire/client-messages.ts'
import {
  type Area,
  answeredFence,
  endOfContinuousUpdates,
  flagAndArea,
  idOfReturned,
  incrementalRequest,
  isRequest,
  requestedFence,
} from './wire/fences.ts'
import { isSameFormat, pixelFormatAt } from './wire/pixel-format.ts'
import { serverTypes } from './wire/server-messages.ts'

/**
 * `negotiating`: the client has not requested an update yet. `offered`: it offers the extensions, and its first update has not
 * ended. `announced`: the proxy has announced them, and the client requests its updates itself. `requesting`: the proxy
 * requests them. `blind`: the same, but where messages end is not known any more. `ended`: the client requests them itself, for
 * good. `off`: nothing was announced, and never will be.
 */
export type UpdatesState = 'negotiating' | 'offered' | 'announced' | 'requesting' | 'blind' | 'ended' | 'off'

export interface UpdatesOptions {
  /** The maximum rate of updates, on average over a few of them. */
  readonly maxPerSecond: number
}

/** How long a request waits before its time is estimated anew. A client that returned a fence very late makes estimates of days. */
const MAX_WAIT_MS = 10_000
/** Unreturned fences beyond this are not sent: a server that sends updates without a request cannot fill the memory. */
const MAX_FENCES = 256
const PIXEL_FORMAT_AT = 4

export class ContinuousUpdates {
  /** Sends a message to the server between two messages of the client. */
  onRequest: (message: Buffer) => void = () => {}
  readonly #leg: HypervisorSocket
  readonly #messages: OwnMessages
  readonly #maxPerSecond: number
  #state: UpdatesState = 'negotiating'
  /** `undefined` once the server's messages are no longer followed. */
  #parser: ServerMessageParser | undefined = new ServerMessageParser()
  #pacing: UpdatePacing | undefined
  #isOffered = false
  /** Whether a request waits for its update. */
  #isRequested = false
  #area: Area | undefined
  /** The bytes for the client since the last fence, and when the first of them came. */
  #unfenced = { bytes: 0, startedMs: 0 }
  /** The proxy's messages that wait for the end of one of the server. */
  #due: Buffer[] = []
  #isReceiving = false
  #hasExtendedMouseButtons = false
  #timer: NodeJS.Timeout | undefined

  constructor(leg: HypervisorSocket, { maxPerSecond }: UpdatesOptions) {
    this.#leg = leg
    this.#messages = new OwnMessages(leg)
    this.#maxPerSecond = maxPerSecond
  }

  get #spacingMs(): number {
    return 1000 / this.#maxPerSecond
  }

  get state(): UpdatesState {
    return this.#state
  }

  /** Whether the server has announced that it reads the longer PointerEvents of the extended mouse buttons. */
  get hasExtendedMouseButtons(): boolean {
    return this.#hasExtendedMouseButtons
  }

  /** Whether the client may send messages that are for the proxy. */
  get isAnnounced(): boolean {
    return this.#state !== 'negotiating' && this.#state !== 'offered' && this.#state !== 'off'
  }

  /** As of {@link HypervisorSocket.take}. */
  take(taker: TakeBytes): void {
    this.#messages.taker = taker
    this.#leg.take((bytes) => (this.#parser ? this.#follow(bytes, this.#parser) : this.#passUnseen(bytes)))
  }

  /** As of {@link HypervisorSocket.giveBack}. */
  giveBack(bytes: Buffer): void {
    this.#messages.giveBack(bytes)
  }

  /** Whether a message of the client may be for the proxy. Then the server must not receive it before {@link read} returns it. */
  mayTake(message: ClientMessage): boolean {
    return this.isAnnounced && (message === clientFence || message === enableContinuousUpdates)
  }

  /** Whether {@link read} is to be called with a message once it is complete. */
  wantsToRead(message: ClientMessage): boolean {
    if (this.#state === 'off') return false
    return message === setPixelFormat || message === updateRequest || this.mayTake(message)
  }

  /** Reads a complete message of the client. Returns whether it is for the server. */
  read(message: ClientMessage, bytes: Buffer): boolean {
    if (message === setPixelFormat) this.#readPixelFormat(bytes)
    else if (message === updateRequest) this.#readRequest(bytes)
    else if (message === clientFence) return this.#readFence(bytes)
    else this.#readEnable(bytes)
    return !this.mayTake(message)
  }

  /** Reads a complete SetEncodings. @param message `undefined` if it is too long to be read */
  readEncodings(message: Buffer | undefined): void {
    this.#isOffered = message !== undefined && offersUpdates(encodingsOf(message))
    if (!this.#isOffered && this.#state !== 'negotiating') this.#end()
  }

  /** Gives up before anything is announced. Returns whether that was so; otherwise nothing changes. */
  giveUp(): boolean {
    if (this.isAnnounced) return false
    this.#turnOff()
    return true
  }

  #readPixelFormat(bytes: Buffer): void {
    const parser = this.#parser
    if (!parser) return
    const format = pixelFormatAt(bytes, PIXEL_FORMAT_AT)
    const isInTime = this.#state === 'negotiating' && parser.state !== 'ServerInit'
    if (isInTime) parser.format = format
    else if (!isSameFormat(format, parser.format)) this.#lose()
  }

  #readRequest(bytes: Buffer): void {
    this.#isRequested = true
    this.#area ??= flagAndArea(bytes).area
    if (this.#state !== 'negotiating') return
    if (this.#isOffered) this.#state = 'offered'
    else this.#turnOff()
  }

  /** A fence that the client returns to the server is for the server. */
  #readFence(bytes: Buffer): boolean {
    const id = idOfReturned(bytes)
    if (id !== undefined) {
      this.#pacing?.returned(id, performance.now())
      this.#requestWhenDue()
    } else if (isRequest(bytes)) this.#send(answeredFence(bytes))
    else return true
    return false
  }

  #readEnable(bytes: Buffer): void {
    const { flag, area } = flagAndArea(bytes)
    if (this.#state === 'requesting' && !flag) this.#disable()
    if (!flag) return
    if (!this.#area?.equals(area)) this.#isRequested = false
    this.#area = area
    if (this.#state === 'announced') this.#state = 'requesting'
    this.#requestWhenDue()
  }

  #disable(): void {
    this.#state = 'announced'
    this.#send(endOfContinuousUpdates)
  }

  #passUnseen(bytes: Buffer): boolean {
    if (this.#state === 'blind') this.#timer ??= this.#requestAfter(this.#spacingMs)
    return this.#messages.pass(bytes, undefined)
  }

  #follow(bytes: Buffer, parser: ServerMessageParser): boolean {
    const nowMs = performance.now()
    this.#isReceiving = true
    const probe = this.#probe(parser, nowMs)
    const end = this.#readMessages(bytes, parser, nowMs)
    this.#isReceiving = false
    const message = this.#takeDue(end)
    if (probe) this.#messages.send(probe)
    const goesOn = this.#messages.pass(bytes, message && { at: end!, message })
    this.#requestWhenDue()
    return goesOn
  }

  #probe(parser: ServerMessageParser, nowMs: number): Buffer | undefined {
    const isAtStart = this.#state === 'requesting' && parser.state === 'between'
    return isAtStart && this.#pacing!.wantsProbe(nowMs) ? this.#fence(0, nowMs, nowMs) : undefined
  }

  /** Returns the offset at which the last message that ends in `bytes` ends. */
  #readMessages(bytes: Buffer, parser: ServerMessageParser, nowMs: number): number | undefined {
    let end: number | undefined
    let hasUpdate = false
    for (let at = 0; at < bytes.length && this.#parser; ) {
      at = parser.advance(bytes, at)
      if (parser.state === 'unknown') this.#lose()
      if (parser.state !== 'between') break
      end = at
      hasUpdate = this.#endMessage(parser.type) || hasUpdate
    }
    this.#count(bytes.length, end, hasUpdate, nowMs)
    return end
  }

  /** Returns whether the message was an update. */
  #endMessage(type: number | undefined): boolean {
    if (type === serverTypes.ServerFence || type === serverTypes.EndOfContinuousUpdates) this.#end()
    if (type !== serverTypes.FramebufferUpdate) return false
    this.#isRequested = false
    this.#hasExtendedMouseButtons ||= this.#parser!.hasExtendedMouseButtons
    if (this.#state === 'offered') this.#announce()
    return true
  }

  /** Counts the bytes behind the last fence, and sends another fence if an update has ended. */
  #count(bytes: number, end: number | undefined, hasUpdate: boolean, nowMs: number): void {
    const unfenced = this.#unfenced
    if (unfenced.bytes === 0) unfenced.startedMs = nowMs
    unfenced.bytes += end ?? bytes
    if (end === undefined) return
    if (hasUpdate && this.#state === 'requesting') this.#fenceUpdate(nowMs)
    this.#unfenced = { bytes: bytes - end, startedMs: nowMs }
  }

  #fenceUpdate(nowMs: number): void {
    const { bytes, startedMs } = this.#unfenced
    const fence = this.#fence(bytes, startedMs, nowMs)
    if (fence) this.#due.push(fence)
  }

  #fence(bytes: number, startedMs: number, nowMs: number): Buffer | undefined {
    const pacing = this.#pacing!
    return pacing.unreturned < MAX_FENCES ? requestedFence(pacing.fence(bytes, startedMs, nowMs)) : undefined
  }

  /** The fence comes first, because a client may enable continuous updates only with a server that has fences too. */
  #announce(): void {
    this.#state = 'announced'
    this.#pacing = new UpdatePacing(this.#maxPerSecond)
    const nowMs = performance.now()
    this.#due.push(this.#fence(0, nowMs, nowMs)!, endOfContinuousUpdates)
  }

  /** Sends a message to the client, at once or as soon as the server's message has ended. */
  #send(message: Buffer): void {
    if (this.#due.length + this.#messages.pending >= MAX_FENCES) return
    if (this.#isReceiving || this.#parser?.state === 'message') this.#due.push(message)
    else if (this.#parser && !this.#messages.send(message)) this.#leg.pause()
  }

  /** Takes the proxy's messages if one of the server has ended. */
  #takeDue(end: number | undefined): Buffer | undefined {
    if (end === undefined || this.#due.length === 0) return undefined
    const message = Buffer.concat(this.#due)
    this.#due = []
    if (this.#state === 'ended') this.#finish()
    return message
  }

  #requestWhenDue(): void {
    if (this.#state !== 'requesting' || this.#isRequested || this.#isReceiving) return
    const waitMs = this.#pacing!.waitMs(performance.now())
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (waitMs <= 0) this.#request()
    else if (waitMs < Number.POSITIVE_INFINITY) this.#timer = this.#requestAfter(Math.min(waitMs, MAX_WAIT_MS))
  }

  #requestAfter(waitMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined
      if (this.#state === 'blind') this.#request()
      else this.#requestWhenDue()
    }, waitMs)
  }

  #request(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isRequested = true
    this.#pacing?.requested(performance.now())
    this.onRequest(incrementalRequest(this.#area!))
  }

  /** Goes on without knowing where messages end: the client relies on updates that it does not request. */
  #lose(): void {
    if (this.giveUp()) return
    this.#state = 'blind'
    this.#forget()
    this.#timer ??= this.#requestAfter(this.#spacingMs)
  }

  /** Leaves the requests to the client again. */
  #end(): void {
    if (this.giveUp() || this.#state === 'ended' || this.#state === 'blind') return
    this.#state = 'ended'
    this.#send(endOfContinuousUpdates)
    if (this.#due.length === 0) this.#finish()
  }

  /** Requests a last update: a client such as noVNC sends its next request when an update has ended. */
  #finish(): void {
    this.#forget()
    this.#request()
  }

  #turnOff(): void {
    this.#state = 'off'
    this.#forget()
  }

  #forget(): void {
    this.#parser = undefined
    this.#pacing = undefined
  }

  /** To be called once the leg has ended. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#turnOff()
  }
}
