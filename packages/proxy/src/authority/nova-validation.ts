/**
 * Whether the console that a token leads to is still its instance's. Ports are reused: a token for an instance that stopped
 * leads to whatever guest got its ports since (CVE-2013-0335), and Nova gives its connect info until the token expires.
 */
import { type OpenableConsoleType, openableConsoleTypes } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Client } from '@oriel/sdk'
import type { Admission, ConsoleClaim, Validation } from '../admit/authority.ts'
import { Refused } from '../refused.ts'
import type { Diagnose } from './diagnose.ts'
import { shareFlights } from './flights.ts'
import { type FreshConsole, freshConsole } from './nova-fresh.ts'
import { type NovaServer, stateObjection } from './nova-state.ts'

/** The key `authority.validate`; absent: the strictest that the credential may. */
export type ValidateSetting = 'fresh' | 'state' | 'off' | undefined

export interface NovaValidationOptions {
  readonly setting: ValidateSetting
  readonly client: Client
  /** Shows the server. @throws Refused */
  readonly server: (instance: string) => Promise<NovaServer>
  /** Runs a question with the deadline of one, and ends it when the proxy closes. */
  readonly limited: <T>(ask: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** Says what a failure of Nova comes from. */
  readonly diagnose: Diagnose
  readonly log?: Logger | undefined
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: (() => number) | undefined
}

/** How long an answer counts for further connections: those of one page, and of many pages at once. */
const KEEP_MS = 1_000
/** After Nova forbade to create consoles; an operator may have changed its policy meanwhile. */
const RETRY_MS = 5 * 60_000
/** Tokens of which something is remembered, at most; the oldest is forgotten first. */
const MAX_TOKENS = 20_000

export class NovaValidation {
  readonly #options: NovaValidationOptions
  readonly #now: () => number
  readonly #fresh
  readonly #servers
  readonly #tokens = new TokenMemory()
  /** Whether Nova let the proxy create consoles when it was asked last. */
  #mayCreate: boolean | undefined
  #retryAtMs = 0

  constructor(options: NovaValidationOptions) {
    const now = options.now ?? (() => performance.now())
    this.#options = options
    this.#now = now
    this.#fresh = shareFlights<FreshConsole>({ keepMs: KEEP_MS, keeps: (fresh) => fresh.is !== 'failed', now })
    this.#servers = shareFlights<NovaServer>({ keepMs: KEEP_MS, now })
  }

  /** What is in force now. */
  get validation(): Validation {
    const { setting } = this.#options
    if (setting !== undefined) return setting
    if (this.#mayCreate === undefined) return 'untried'
    return this.#mayCreate ? 'fresh' : 'state'
  }

  /** Whether no console opens while Nova does not show servers. */
  get needsServers(): boolean {
    return this.validation === 'state'
  }

  /** @returns where the console is. @throws Refused */
  async validate(claim: ConsoleClaim): Promise<Admission> {
    const { setting } = this.#options
    if (setting === 'off') return claim.admission
    if (setting === 'fresh') return this.#byFresh(claim)
    if (setting === 'state' || this.#now() < this.#retryAtMs) return this.#byState(claim)
    return this.#byStrictest(claim)
  }

  async #byFresh(claim: ConsoleClaim): Promise<Admission> {
    const fresh = await this.#askFor(claim)
    if (fresh.is === 'forbidden') throw new Refused('authority_unavailable', FORBIDDEN, { cause: fresh.cause })
    if (fresh.is === 'unknown') throw await this.#whyUnknown(claim, fresh.cause)
    return this.#agreed(claim, fresh)
  }

  async #byStrictest(claim: ConsoleClaim): Promise<Admission> {
    const fresh = await this.#askFor(claim)
    if (fresh.is === 'forbidden') {
      this.#fallBack()
      return this.#byState(claim)
    }
    if (fresh.is === 'unknown') {
      // Nova finds the same servers for both questions. Another API may not, so until a console was made this proves nothing.
      if (this.#mayCreate) throw await this.#whyUnknown(claim, fresh.cause)
      return this.#byState(claim)
    }
    if (fresh.is !== 'failed') this.#mayCreate = true
    return this.#agreed(claim, fresh)
  }

  #fallBack(): void {
    this.#retryAtMs = this.#now() + RETRY_MS
    if (this.#mayCreate === false) return
    this.#mayCreate = false
    this.#options.log?.warn(
      { validate: 'state', remedy: FORBIDDEN },
      'consoles are validated by the state of their server alone: Nova does not let the proxy create consoles',
    )
  }

  /** An answer that is kept may be older than the token, so one that disagrees with it is asked for again. */
  async #askFor({ admission, type }: ConsoleClaim): Promise<FreshConsole> {
    let asked = false
    const onAsk = () => {
      asked = true
    }
    const fresh = await this.#ask(admission.instance, type, { onAsk })
    if (asked || (fresh.is === 'here' && isSamePlace(admission, fresh.place))) return fresh
    return this.#ask(admission.instance, type, { anew: true })
  }

  #ask(instance: string, type: OpenableConsoleType, { onAsk = () => {}, anew = false } = {}): Promise<FreshConsole> {
    const { client, limited, diagnose } = this.#options
    const ask = () => {
      onAsk()
      return limited((signal) => freshConsole(client, instance, type, diagnose, signal))
    }
    return this.#fresh(`${type} ${instance}`, ask, anew)
  }

  /** Of a server that Nova shows, its compute host knows nothing. */
  async #whyUnknown({ admission }: ConsoleClaim, cause: unknown): Promise<Refused> {
    await this.#server(admission.instance)
    return new Refused('console_unreachable', 'Nova finds no guest of the server on its compute host', { cause })
  }

  #server(instance: string): Promise<NovaServer> {
    return this.#servers(instance, () => this.#options.server(instance))
  }

  /** What cannot be seen here is a port that changed hands while the server stayed active on its host. */
  async #byState({ admission, tokenDigest }: ConsoleClaim): Promise<Admission> {
    const server = await this.#server(admission.instance)
    const objection = stateObjection(server)
    if (objection !== undefined) throw new Refused('console_unreachable', objection)
    // The connect info names an address and the server a host, so they cannot be compared; only each with its like.
    const token = this.#tokens.of(tokenDigest)
    token.hostId ??= server.hostId
    if (token.hostId === server.hostId) return admission
    throw new Refused('console_moved', 'the server is on another host than when the token was first used')
  }

  /** The console as Nova has it now. Its host and port decide, as for Nova; a path may be another for each token. */
  async #agreed(claim: ConsoleClaim, fresh: Exclude<FreshConsole, { is: 'forbidden' | 'unknown' }>) {
    if (fresh.is !== 'here') throw fresh.refused
    const { admission, type } = claim
    if (!isSamePlace(admission, fresh.place)) await this.#requireType(claim)
    this.#tokens.of(claim.tokenDigest).type = type
    if (!isSamePlace(admission, fresh.place)) {
      const to = `${fresh.place.host}:${fresh.place.port}`
      this.#options.log?.info({ instance: admission.instance, type, to }, 'the console has moved, and is followed')
    }
    return movedTo(admission, fresh.place)
  }

  /**
   * Refuses a token that is for another type of the same instance, which Nova does not say: one that was used as such before,
   * or that leads where that other console is now. What remains is a token never seen here whose own console moved as well.
   */
  async #requireType({ admission, type, tokenDigest }: ConsoleClaim): Promise<void> {
    const known = admission.type ?? this.#tokens.of(tokenDigest).type
    if (known === type) return
    const isOf = (other: string) =>
      new Refused('wrong_console_type', `the token is for ${other}, the address for ${type}`)
    if (known !== undefined) throw isOf(known)
    const others = RELAYED.filter((other) => other !== type)
    const places = await Promise.all(others.map((other) => this.#ask(admission.instance, other)))
    for (const [i, fresh] of places.entries()) {
      if (fresh.is === 'failed') throw fresh.refused
      if (fresh.is === 'here' && isSamePlace(admission, fresh.place)) throw isOf(others[i]!)
    }
  }
}

/** Tokens of `spice-direct` are told by their connect info. */
const RELAYED = openableConsoleTypes.filter((type) => type !== 'spice-direct')

const FORBIDDEN =
  'give the service user the role admin, or one that context_is_admin and os_compute_api:os-remote-consoles name'

const isSamePlace = (a: Admission, b: Admission) => a.host === b.host && a.port === b.port && a.tlsPort === b.tlsPort

function movedTo({ host: _, port: __, tlsPort: ___, internalAccessPath: ____, ...rest }: Admission, now: Admission) {
  const { host, port, tlsPort, internalAccessPath } = now
  return {
    ...rest,
    host,
    port,
    ...(tlsPort === undefined ? {} : { tlsPort }),
    ...(internalAccessPath === undefined ? {} : { internalAccessPath }),
  }
}

/** What this process has seen of tokens, by their digests. */
class TokenMemory {
  readonly #facts = new Map<string, TokenFacts>()

  of(digest: string): TokenFacts {
    const facts = this.#facts.get(digest) ?? {}
    this.#facts.delete(digest)
    this.#facts.set(digest, facts)
    const [oldest] = this.#facts.keys()
    if (this.#facts.size > MAX_TOKENS) this.#facts.delete(oldest!)
    return facts
  }
}

interface TokenFacts {
  /** The host on which its server was when the token was first used. */
  hostId?: string
  /** The type as which it was admitted. */
  type?: OpenableConsoleType
}
