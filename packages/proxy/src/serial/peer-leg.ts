/** The leg to a serial port that another process of this proxy has open. */
import { connect, type Socket } from 'node:net'
import { type CloseReasonName, closeReasons, type RefusalName, refusals } from '@oriel/contract'
import { deadline, guardPeer, within } from '@oriel/runtime'
import { type HypervisorSocket, LegFault, type TakeBytes } from '../hypervisor/leg.ts'
import { established } from '../hypervisor/socket.ts'
import { Refused } from '../refused.ts'
import { FrameParser, type FrameType } from './peer-frames.ts'
import type { PeerAddress, PeerEnd } from './peer-server.ts'
import type { OpenedPort } from './upstream.ts'

/** Longer than any dial of the other process takes, which has deadlines of its own. */
const OPEN_MS = 120_000

/**
 * Joins a port at another process. Returns `undefined` if that process no longer has it open.
 * @throws Refused, as the dial of that process did; the signal's reason once it aborts
 */
export async function joinAtPeer(
  { path, key }: PeerAddress,
  portId: string,
  signal: AbortSignal,
  since?: 'opening',
): Promise<OpenedPort | undefined> {
  using limit = deadline(OPEN_MS, signal)
  const socket = connect({ path })
  try {
    await established(socket, 'connect', limit.signal)
  } catch {
    signal.throwIfAborted()
    return undefined
  }
  using joining = new DisposableStack()
  const leg = joining.use(new PeerLeg(socket))
  socket.write(`${JSON.stringify({ key: key.reveal(), portId, since })}\n`)
  const opened = await within(limit.signal, leg.opened)
  if (opened === undefined) return undefined
  joining.move()
  return { hypervisor: leg, rest: Buffer.alloc(0), ...opened }
}

type Earlier = Required<Pick<OpenedPort, 'earlier' | 'isMarked'>>

class PeerLeg implements HypervisorSocket {
  readonly #socket: Socket
  readonly #parser = new FrameParser()
  readonly #opened = Promise.withResolvers<Earlier | undefined>()
  readonly #closed = Promise.withResolvers<Error | undefined>()
  /** Bytes that were read and not passed on. */
  #unread: Buffer = Buffer.alloc(0)
  #taker: TakeBytes | undefined
  #reads = true
  #isLost = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on(
      'data',
      guardPeer(
        (bytes: Buffer) => this.#feed(bytes),
        (cause) => socket.destroy(cause),
      ),
    )
    socket.once('close', () => {
      this.#isLost = true
      this.#endIfLost()
    })
  }

  /** Resolves with the earlier output; with `undefined` if the port is not open there. */
  get opened(): Promise<Earlier | undefined> {
    return this.#opened.promise
  }

  get closed(): Promise<Error | undefined> {
    return this.#closed.promise
  }

  /** The bytes are not those of reused buffers. */
  get lentBytes(): number {
    return 0
  }

  giveBack(): void {}

  take(taker: TakeBytes): void {
    this.#taker = taker
    this.resume()
  }

  pause(): void {
    this.#reads = false
    this.#socket.pause()
  }

  resume(): void {
    this.#reads = true
    if (this.#unread.length > 0) this.#feed(Buffer.alloc(0))
    if (this.#reads) this.#socket.resume()
    this.#endIfLost()
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  onDrain(drained: () => void): void {
    this.#socket.on('drain', drained)
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #feed(bytes: Buffer): void {
    const all = this.#unread.length > 0 ? Buffer.concat([this.#unread, bytes]) : bytes
    this.#unread = this.#reads ? this.#parser.push(all, this.#onPart) : all
  }

  readonly #onPart = (type: FrameType, part: Buffer): boolean => {
    if (type === 'output') {
      if (!this.#taker?.(part)) this.pause()
    } else if (type === 'earlier' || type === 'earlierMarked') {
      // Nothing is read until there is a taker.
      this.pause()
      this.#opened.resolve({ earlier: part, isMarked: type === 'earlierMarked' })
    } else this.#onEnd(JSON.parse(String(part)) as PeerEnd)
    return this.#reads
  }

  #onEnd(end: PeerEnd): void {
    if (end.gone) this.#opened.resolve(undefined)
    if (isKnown(end.refusal, refusals)) this.#opened.reject(new Refused(end.refusal as RefusalName, `${end.detail}`))
    this.#end(causeOf(end))
  }

  /** The last frame may still be unread. */
  #endIfLost(): void {
    if (this.#isLost && this.#unread.length === 0)
      this.#end(new Error('the process of the proxy that had the port open has exited'))
  }

  #end(cause: Error | undefined): void {
    this.#closed.resolve(cause)
    this.#opened.reject(new Refused('console_unreachable', cause?.message ?? 'the port closed', { cause }))
    // If the port was open, the rejection is not awaited, and must not count as unhandled.
    this.#opened.promise.catch(() => {})
    this.#socket.destroy()
  }
}

function causeOf({ reason, detail }: PeerEnd): Error | undefined {
  if (isKnown(reason, closeReasons)) return new LegFault(reason as CloseReasonName, `${detail}`)
  return detail === undefined ? undefined : new Error(`${detail}`)
}

const isKnown = (name: unknown, catalogue: object): boolean =>
  typeof name === 'string' && Object.hasOwn(catalogue, name)
