/**
 * Tokens that were used, for `sessions.single_use`: a console URL that leaked, through a history or a log of somebody
 * else, opens nothing once its owner has opened the console. It is kept in memory, so it holds for one proxy; a fleet on
 * several machines needs an authority that does the same.
 */
import { Refused } from '../refused.ts'

/** A use of a token. Disposal takes it back, unless the console opened. */
export interface Use extends Disposable {
  /** The console is open: the token is used up. */
  opened(): void
}

export interface SingleUseOptions {
  /** How long a browser may go on opening channels of the one console that a token opened. Default: 30 s. */
  readonly channelsMs?: number
  /** How many used tokens are remembered; beyond it, the oldest are forgotten. Default: 200,000. */
  readonly max?: number
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/** Whose use it is. */
export interface User {
  readonly tokenDigest: string
  readonly client: string
  readonly type: string
}

/** SPICE in a browser opens about ten WebSockets with one token, one for each channel. */
const MANY_CHANNELS = 'spice-html5'

interface Used {
  readonly client: string
  /** The console type that the token was used for; further channels must be of the same type. */
  readonly type: string
  readonly channelsUntilMs: number
  /** Channels on their way; with none of them, and none that opened, the token was not used. */
  pending: number
  opened: boolean
}

/** Compares the type as well: Nova does not say which type a token is for, so one that opened a serial console could open SPICE. */
const isSamePage = (used: Used, { client, type }: Pick<User, 'client' | 'type'>) =>
  type === MANY_CHANNELS && used.type === type && used.client === client

export class SingleUse {
  readonly #used = new Map<string, Used>()
  readonly #options: Required<SingleUseOptions>

  constructor({ channelsMs = 30_000, max = 200_000, now = () => performance.now() }: SingleUseOptions = {}) {
    this.#options = { channelsMs, max, now }
  }

  /**
   * Uses a token, at once: of two that come together, one is refused.
   * @throws Refused `unknown_token` when it is used already
   */
  take({ tokenDigest, client, type }: User): Use {
    const { channelsMs, max, now } = this.#options
    const earlier = this.#used.get(tokenDigest)
    if (earlier && !(isSamePage(earlier, { client, type }) && now() < earlier.channelsUntilMs))
      throw new Refused('unknown_token', 'the token was used already')
    if (!earlier && this.#used.size >= max) this.#forgetOldest()
    const used = earlier ?? { client, type, channelsUntilMs: now() + channelsMs, pending: 0, opened: false }
    this.#used.set(tokenDigest, used)
    return this.#use(tokenDigest, used)
  }

  #use(tokenDigest: string, used: Used): Use {
    used.pending += 1
    let held = true
    return {
      opened: () => {
        used.opened = true
      },
      [Symbol.dispose]: () => {
        if (held) used.pending -= 1
        held = false
        const unused = !used.opened && used.pending === 0
        if (unused && this.#used.get(tokenDigest) === used) this.#used.delete(tokenDigest)
      },
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#used.keys()
    if (oldest !== undefined) this.#used.delete(oldest)
  }
}
