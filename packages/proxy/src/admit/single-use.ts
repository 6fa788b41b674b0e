/**
 * Used tokens, for `sessions.single_use`: a console URL that leaked through a browser history or a log opens nothing once
 * its owner has opened the console. The tokens are kept in memory, so this holds for one proxy; for proxies on several
 * machines the authority must do the same.
 */
import { consoleTypes } from '@oriel/contract'
import type { ServedConsoleType } from '../consoles/kinds.ts'
import { Refused } from '../refused.ts'

/** A use of a token. Disposal reverts it, unless the console opened. */
export interface Use extends Disposable {
  /** Marks the token as used up, because the console is open. */
  opened(): void
}

export interface SingleUseOptions {
  /** How long a browser may keep opening channels of the console that a token opened. Default: 30 s. */
  readonly channelsMs?: number
  /** The maximum number of remembered tokens; the oldest are forgotten first. Default: 200,000. */
  readonly max?: number
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/** The token and client of a use. */
export interface User {
  readonly tokenDigest: string
  readonly client: string
  readonly type: ServedConsoleType
}

interface Used {
  readonly client: string
  /** The console type that the token was used for; further channels must be of the same type. */
  readonly type: ServedConsoleType
  readonly channelsUntilMs: number
  /** Channels that are still opening. If none remains and none has opened, the token counts as unused. */
  pending: number
  opened: boolean
}

/** Compares the type as well: Nova does not say which type a token is for, so one that opened a serial console could open SPICE. */
const isSamePage = (used: Used, { client, type }: Pick<User, 'client' | 'type'>) =>
  consoleTypes[type].channelsShareToken && used.type === type && used.client === client

export class SingleUse {
  readonly #used = new Map<string, Used>()
  readonly #options: Required<SingleUseOptions>

  constructor({ channelsMs = 30_000, max = 200_000, now = () => performance.now() }: SingleUseOptions = {}) {
    this.#options = { channelsMs, max, now }
  }

  /**
   * Marks a token as used before the console opens, so that one of two concurrent uses is refused.
   * @throws Refused `unknown_token` if it is used already
   */
  take({ tokenDigest, client, type }: User): Use {
    const { channelsMs, max, now } = this.#options
    const earlier = this.#used.get(tokenDigest)
    if (earlier && !(isSamePage(earlier, { client, type }) && now() < earlier.channelsUntilMs))
      throw new Refused('unknown_token', 'the token is used up')
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
