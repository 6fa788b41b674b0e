/**
 * Decorators of a leg to a VNC server that read the desktop's name from ServerInit. The enforcing one holds ServerInit back
 * until the name is verified, and until then passes only ClientInit from the client: the server waits for that message.
 */
import { ForwardingLeg, type HypervisorSocket, LegFault, observeLeg, type TakeBytes } from '../hypervisor/leg.ts'
import { type InstanceNames, nameObjection } from './identity.ts'
import { NameTooLong, ServerInitReader } from './server-init.ts'

/** RFC 6143 section 7.3.1. */
const CLIENT_INIT_BYTES = 1
const NOTHING = Buffer.alloc(0)

/**
 * Forwards all bytes unchanged and calls `onName` once the ServerInit message has arrived.
 * @param early the bytes that were read from `leg` before. They are only inspected: the caller must pass them on.
 */
export function watchDesktopName(
  leg: HypervisorSocket,
  early: Buffer,
  onName: (name: string | NameTooLong) => void,
): HypervisorSocket {
  const serverInit = new ServerInitReader()
  const watch = (bytes: Buffer) => {
    const name = nameOf(serverInit, bytes)
    if (name !== undefined) onName(name)
    return name === undefined
  }
  return watch(early) ? observeLeg(leg, watch) : leg
}

function nameOf(serverInit: ServerInitReader, bytes: Buffer): string | NameTooLong | undefined {
  try {
    return serverInit.push(bytes)
  } catch (error) {
    if (error instanceof NameTooLong) return error
    throw error
  }
}

export interface GuardOptions {
  readonly names: InstanceNames
  /** The expected name of the desktop, with `{instance}` for the instance's name. Default: `QEMU ({instance})`. */
  readonly desktop?: string | undefined
  /** Deadline from ClientInit to the end of ServerInit. */
  readonly timeoutMs: number
}

/**
 * Holds back ServerInit until its name matches the instance. If it does not, ends the leg as `wrong_instance`.
 * @param early the bytes that were read from `leg` before. They are held back and passed on with the others.
 */
export function guardIdentity(leg: HypervisorSocket, early: Buffer, options: GuardOptions): HypervisorSocket {
  return new IdentityGuard(leg, early, options)
}

class IdentityGuard extends ForwardingLeg {
  readonly #options: GuardOptions
  readonly #serverInit = new ServerInitReader()
  readonly #close: (cause: Error | undefined) => void
  #state: 'held' | 'open' | 'closed' = 'held'
  /** Bytes from the hypervisor that are held back. */
  #output: Buffer
  /** Bytes from the client that are held back. */
  #input: Buffer = NOTHING
  #clientInitSent = false
  #timer: NodeJS.Timeout | undefined
  #taker: TakeBytes = () => false
  readonly #drained: (() => void)[] = []

  constructor(leg: HypervisorSocket, early: Buffer, options: GuardOptions) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    super(leg, promise)
    this.#close = resolve
    this.#options = options
    this.#output = early
    leg.closed.then((cause) => this.#endWith(cause))
  }

  override take(taker: TakeBytes): void {
    this.#taker = taker
    if (this.#state === 'open') this.leg.take(taker)
    else this.#hold()
  }

  override giveBack(bytes: Buffer): void {
    if (bytes === this.#output) this.#output = NOTHING
    else this.leg.giveBack(bytes)
  }

  override resume(): void {
    if (this.#state === 'open') this.leg.resume()
  }

  override write(bytes: Uint8Array): boolean {
    if (this.#state === 'open') return this.leg.write(bytes)
    const passedBytes = this.#clientInitSent ? 0 : CLIENT_INIT_BYTES
    if (passedBytes > 0) this.#sendClientInit(bytes.subarray(0, passedBytes))
    this.#input = Buffer.concat([this.#input, bytes.subarray(passedBytes)])
    return this.#input.length === 0
  }

  override onDrain(drained: () => void): void {
    this.#drained.push(drained)
    this.leg.onDrain(drained)
  }

  #hold(): void {
    this.leg.take((bytes) => {
      this.#output = Buffer.concat([this.#output, bytes])
      const goesOn = this.#inspect(bytes)
      this.leg.giveBack(bytes)
      return goesOn
    })
    if (!this.#inspect(this.#output)) this.leg.pause()
  }

  #sendClientInit(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#clientInitSent = true
    const { timeoutMs } = this.#options
    const late = () => this.#endWith(new LegFault('console_lost', `no ServerInit within ${timeoutMs} ms`))
    this.#timer = setTimeout(late, timeoutMs)
    this.leg.write(bytes)
  }

  /** Reads the name from `bytes`, and opens or ends the leg once it is complete. Returns whether to continue reading. */
  #inspect(bytes: Buffer): boolean {
    const name = nameOf(this.#serverInit, bytes)
    if (name === undefined) return true
    const { names, desktop } = this.#options
    const objection = name instanceof NameTooLong ? name.message : nameObjection(name, names, desktop)
    if (objection === undefined) return this.#open()
    this.#endWith(new LegFault('wrong_instance', objection))
    return false
  }

  #open(): boolean {
    this.#state = 'open'
    clearTimeout(this.#timer)
    this.leg.take(this.#taker)
    if (this.#input.length > 0 && this.leg.write(this.#input)) for (const drained of this.#drained) drained()
    this.#input = NOTHING
    return this.#taker(this.#output)
  }

  #endWith(cause: Error | undefined): void {
    clearTimeout(this.#timer)
    if (this.#state === 'held') this.#state = 'closed'
    this.#close(cause)
  }
}
