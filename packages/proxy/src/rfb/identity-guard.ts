/**
 * A leg to a VNC server between SecurityResult and ServerInit: it looks at the desktop's name. Where that must be right,
 * nothing of ServerInit passes before, and of what the client sends only ClientInit, without which there is no ServerInit.
 */
import { type HypervisorSocket, LegFault, legLike, type TakeBytes } from '../hypervisor/tcp-leg.ts'
import { type InstanceNames, nameObjection } from './identity.ts'
import { NameTooLong, ServerInitReader } from './server-init.ts'

/** RFC 6143 section 7.3.1. */
const CLIENT_INIT_BYTES = 1
const NOTHING = Buffer.alloc(0)

/**
 * Lets everything pass, and tells `told` the desktop's name once it has.
 * @param early what `leg` sent before anything is taken from it here; it is looked at, and not given again
 */
export function watchDesktopName(
  leg: HypervisorSocket,
  early: Buffer,
  told: (name: string | NameTooLong) => void,
): HypervisorSocket {
  // Let go of once it is told: a session may last for days.
  let watched: { readonly serverInit: ServerInitReader; readonly tell: typeof told } | undefined = {
    serverInit: new ServerInitReader(),
    tell: told,
  }
  const watch = (bytes: Buffer) => {
    if (!watched) return
    const { serverInit, tell } = watched
    const name = nameOf(serverInit, bytes)
    if (name === undefined) return
    watched = undefined
    tell(name)
  }
  watch(early)
  return legLike(leg, {
    take: (taker) =>
      leg.take((bytes) => {
        watch(bytes)
        return taker(bytes)
      }),
  })
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
  /** From ClientInit to the end of ServerInit. */
  readonly timeoutMs: number
}

/**
 * Holds back ServerInit until the name in it is that of the instance; otherwise the leg ends as `wrong_instance`.
 * @param early what `leg` sent before anything is taken from it here; it is given with what follows
 */
export function guardIdentity(leg: HypervisorSocket, early: Buffer, options: GuardOptions): HypervisorSocket {
  const guard = new IdentityGuard(leg, early, options)
  return legLike(leg, {
    take: (taker) => guard.take(taker),
    giveBack: (bytes) => guard.giveBack(bytes),
    resume: () => guard.resume(),
    write: (bytes) => guard.write(bytes),
    onDrain: (drained) => guard.onDrain(drained),
    ended: guard.ended,
  })
}

class IdentityGuard {
  readonly #leg: HypervisorSocket
  readonly #options: GuardOptions
  readonly #serverInit = new ServerInitReader()
  readonly #end = Promise.withResolvers<Error | undefined>()
  #state: 'held' | 'open' | 'ended' = 'held'
  /** Copies of what the hypervisor sent, and of what the client did. */
  #output: Buffer
  #input: Buffer = NOTHING
  #clientInitSent = false
  #timer: NodeJS.Timeout | undefined
  #taker: TakeBytes = () => false
  readonly #drained: (() => void)[] = []

  constructor(leg: HypervisorSocket, early: Buffer, options: GuardOptions) {
    this.#leg = leg
    this.#options = options
    this.#output = early
    leg.ended.then((cause) => this.#endWith(cause))
  }

  get ended(): Promise<Error | undefined> {
    return this.#end.promise
  }

  take(taker: TakeBytes): void {
    this.#taker = taker
    if (this.#state === 'open') this.#leg.take(taker)
    else this.#hold()
  }

  giveBack(bytes: Buffer): void {
    if (bytes === this.#output) this.#output = NOTHING
    else this.#leg.giveBack(bytes)
  }

  resume(): void {
    if (this.#state === 'open') this.#leg.resume()
  }

  write(bytes: Uint8Array): boolean {
    if (this.#state === 'open') return this.#leg.write(bytes)
    const now = this.#clientInitSent ? 0 : CLIENT_INIT_BYTES
    if (now > 0) this.#sendClientInit(bytes.subarray(0, now))
    this.#input = Buffer.concat([this.#input, bytes.subarray(now)])
    return this.#input.length === 0
  }

  onDrain(drained: () => void): void {
    this.#drained.push(drained)
    this.#leg.onDrain(drained)
  }

  #hold(): void {
    this.#leg.take((bytes) => {
      this.#output = Buffer.concat([this.#output, bytes])
      this.#leg.giveBack(bytes)
      return this.#look(bytes)
    })
    if (!this.#look(this.#output)) this.#leg.pause()
  }

  #sendClientInit(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#clientInitSent = true
    const { timeoutMs } = this.#options
    const late = () => this.#endWith(new LegFault('console_lost', `no ServerInit within ${timeoutMs} ms`))
    this.#timer = setTimeout(late, timeoutMs)
    this.#leg.write(bytes)
  }

  /** @returns whether to go on reading */
  #look(bytes: Buffer): boolean {
    const name = nameOf(this.#serverInit, bytes)
    if (name === undefined) return true
    const objection = name instanceof NameTooLong ? name.message : nameObjection(name, this.#options.names)
    if (objection === undefined) return this.#open()
    this.#endWith(new LegFault('wrong_instance', objection))
    return false
  }

  #open(): boolean {
    this.#state = 'open'
    clearTimeout(this.#timer)
    this.#leg.take(this.#taker)
    if (this.#input.length > 0 && this.#leg.write(this.#input)) for (const drained of this.#drained) drained()
    this.#input = NOTHING
    return this.#taker(this.#output)
  }

  #endWith(cause: Error | undefined): void {
    clearTimeout(this.#timer)
    if (this.#state === 'held') this.#state = 'ended'
    this.#end.resolve(cause)
  }
}
