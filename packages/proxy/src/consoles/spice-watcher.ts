/** Decorates a leg to a SPICE server so that a watcher's input does not reach the guest. */
import { decorateLeg, type HypervisorSocket, LegFault } from '../hypervisor/leg.ts'
import { LinkFault } from '../spice/wire/link.ts'
import { WatcherStream } from '../spice/wire/watcher-stream.ts'

/**
 * Drops a watcher's input on one channel, message by message. Ends the leg as `protocol_error` if the client opens a channel
 * that a watcher may not have, or does not follow the protocol.
 */
export function watchSpice(leg: HypervisorSocket): HypervisorSocket {
  const watcher = new SpiceWatcher(leg)
  return decorateLeg(leg, {
    take: (taker) =>
      leg.take((bytes) => {
        watcher.observe(bytes)
        return taker(bytes)
      }),
    write: (bytes) => watcher.write(bytes),
    closed: watcher.closed,
  })
}

class SpiceWatcher {
  readonly #leg: HypervisorSocket
  readonly #stream = new WatcherStream()
  readonly #end = Promise.withResolvers<Error | undefined>()
  #hasEnded = false

  constructor(leg: HypervisorSocket) {
    this.#leg = leg
    leg.closed.then((cause) => this.#end.resolve(cause))
  }

  get closed(): Promise<Error | undefined> {
    return this.#end.promise
  }

  observe(bytes: Buffer): void {
    this.#orEnd('console_lost', () => this.#stream.fromServer(bytes))
  }

  /** Dropped bytes count as written. */
  write(bytes: Uint8Array): boolean {
    const passed = this.#orEnd('protocol_error', () => this.#stream.fromClient(bufferOf(bytes)))
    return passed === undefined || passed.length === 0 || this.#leg.write(passed)
  }

  /** Returns the result of `step`, or `undefined` after it has thrown once. */
  #orEnd<T>(reason: 'console_lost' | 'protocol_error', step: () => T): T | undefined {
    if (this.#hasEnded) return undefined
    try {
      return step()
    } catch (error) {
      if (!(error instanceof LinkFault)) throw error
      this.#hasEnded = true
      this.#end.resolve(new LegFault(reason, `SPICE: ${error.message}`))
      return undefined
    }
  }
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
