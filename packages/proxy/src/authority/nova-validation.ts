/**
 * Confirms that the console behind a token still belongs to its instance. Ports are reused: the token of a stopped instance
 * leads to the guest that got its port since (CVE-2013-0335), and Nova gives its connect info until the token expires.
 */
import type { OpenableConsoleType } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Client } from '@oriel/sdk'
import { kindOf, servedConsoleTypes } from '../consoles/kinds.ts'
import { Refused } from '../refused.ts'
import type { Admission, ConsoleClaim, Validation } from './authority.ts'
import type { Diagnose } from './diagnose.ts'
import { shareFlights } from './flights.ts'
import { type FreshConsole, freshConsole } from './nova-fresh.ts'
import { isSwitchedOff, type NovaServer, stateObjection } from './nova-state.ts'

/** The key `authority.validate`; absent: the strictest that the credential permits. */
export type ValidateSetting = 'fresh' | 'state' | 'off' | undefined

export interface NovaValidationOptions {
  readonly setting: ValidateSetting
  readonly client: Client
  /** Returns the server from Nova. @throws Refused */
  readonly server: (instance: string) => Promise<NovaServer>
  /** Runs a request under the deadline for one, and aborts it when the proxy closes. */
  readonly limited: <T>(ask: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** Diagnoses a failure of Nova. */
  readonly diagnose: Diagnose
  readonly log?: Logger | undefined
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: (() => number) | undefined
}

/** How long an answer is reused for further connections, of one page or of many pages at once. */
const KEEP_MS = 1_000
/** How long to wait after Nova forbade creating consoles; its policy may have changed by then. */
const RETRY_MS = 5 * 60_000
/** The maximum number of remembered tokens; the oldest is forgotten first. */
const MAX_TOKENS = 20_000

/** An answer about an instance that Nova shows to the proxy. */
type KnownConsole = Exclude<FreshConsole, { is: 'forbidden' | 'unknown' }>

export class NovaValidation {
  readonly #options: NovaValidationOptions
  readonly #now: () => number
  readonly #fresh
  readonly #servers
  readonly #tokens = new TokenMemory()
  /** Whether Nova let the proxy create a console at the latest attempt. */
  #mayCreate: boolean | undefined
  #retryAtMs = 0

  constructor(options: NovaValidationOptions) {
    const now = options.now ?? (() => performance.now())
    this.#options = options
    this.#now = now
    this.#fresh = shareFlights<FreshConsole>({ keepMs: KEEP_MS, keeps: (fresh) => fresh.is !== 'failed', now })
    this.#servers = shareFlights<NovaServer>({ keepMs: KEEP_MS, now })
  }

  /** The validation in force now. */
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

  /** Creates a new console of the instance. Uses no kept answer: the instance may have moved since. @throws Refused */
  async current(instance: string, type: OpenableConsoleType): Promise<Admission> {
    const fresh = await this.#known(instance, await this.#ask(instance, type, { anew: true }))
    if (fresh.is !== 'here') throw await this.#whyNot(instance, fresh)
    return { ...fresh.admission, type, isCurrent: true }
  }

  async #byFresh(claim: ConsoleClaim): Promise<Admission> {
    return this.#agreed(claim, await this.#known(claim.admission.instance, await this.#askFor(claim)))
  }

  /** @throws Refused if Nova does not show the instance to the proxy */
  async #known(instance: string, fresh: FreshConsole): Promise<KnownConsole> {
    if (fresh.is === 'forbidden') throw new Refused('authority_unavailable', FORBIDDEN, { cause: fresh.cause })
    if (fresh.is === 'unknown') throw await this.#whyUnknown(instance, fresh.cause)
    return fresh
  }

  async #byStrictest(claim: ConsoleClaim): Promise<Admission> {
    const fresh = await this.#askFor(claim)
    if (fresh.is === 'forbidden') {
      this.#fallBack()
      return this.#byState(claim)
    }
    if (fresh.is === 'unknown') {
      // Nova finds the same servers for both requests. Another API may not, so a 404 proves nothing before the first success.
      if (this.#mayCreate) throw await this.#whyUnknown(claim.admission.instance, fresh.cause)
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
      'consoles are validated only by the state of their server: Nova forbids the proxy to create consoles',
    )
  }

  /** Asks again if a kept answer disagrees with the token: the answer may be older than the token. */
  async #askFor({ admission, type }: ConsoleClaim): Promise<FreshConsole> {
    let asked = false
    const onAsk = () => {
      asked = true
    }
    const fresh = await this.#ask(admission.instance, type, { onAsk })
    if (asked || (fresh.is === 'here' && isSameAddress(admission, fresh.admission))) return fresh
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

  /** Explains a 404 for a new console: Nova does not show the server (thrown), or its compute host has no such guest. */
  async #whyUnknown(instance: string, cause: unknown): Promise<Refused> {
    await this.#server(instance)
    return new Refused('console_unreachable', "the server's compute host has no guest for it", { cause })
  }

  /** Nova's refusal to create a console does not say whether the server is switched off. */
  async #whyNot(instance: string, { is, refused }: Exclude<KnownConsole, { is: 'here' }>): Promise<Refused> {
    if (is !== 'absent' || refused.refusal !== 'console_unreachable') return refused
    const server = await this.#server(instance).catch(() => undefined)
    return server && isSwitchedOff(server) ? new Refused('switched_off', refused.message) : refused
  }

  #server(instance: string): Promise<NovaServer> {
    return this.#servers(instance, () => this.#options.server(instance))
  }

  /** Does not detect a port that changed hands while the server stayed active on its host. */
  async #byState({ admission, tokenDigest }: ConsoleClaim): Promise<Admission> {
    const server = await this.#server(admission.instance)
    const objection = stateObjection(server)
    if (objection !== undefined)
      throw new Refused(isSwitchedOff(server) ? 'switched_off' : 'console_unreachable', objection)
    // The connect info has an address and the server a host id, which cannot be compared; so compare host ids over time.
    const token = this.#tokens.of(tokenDigest)
    token.hostId ??= server.hostId
    if (token.hostId === server.hostId) return admission
    throw new Refused('console_moved', 'the server is on another host than when the token was first used')
  }

  /** Returns the console's current address. Compares host and port only, as Nova does: each token may have its own path. */
  async #agreed(claim: ConsoleClaim, fresh: KnownConsole) {
    if (fresh.is !== 'here') throw await this.#whyNot(claim.admission.instance, fresh)
    const { admission, type } = claim
    if (!isSameAddress(admission, fresh.admission)) await this.#requireType(claim)
    this.#tokens.of(claim.tokenDigest).type = type
    if (!isSameAddress(admission, fresh.admission)) {
      const to = `${fresh.admission.host}:${fresh.admission.port}`
      this.#options.log?.info(
        { instance: admission.instance, type, to },
        'the console has moved: dialling its new address',
      )
    }
    return movedTo(admission, fresh.admission)
  }

  /**
   * Refuses a token that is for another type of the same instance. Nova does not say the type, so this looks at the type that
   * the token was used for before, and at the current addresses of the other consoles. It cannot detect a token that this
   * process has not seen and whose own console has moved as well.
   */
  async #requireType({ admission, type, tokenDigest }: ConsoleClaim): Promise<void> {
    const known = admission.type ?? this.#tokens.of(tokenDigest).type
    if (known === type) return
    const isOf = (other: string) =>
      new Refused('wrong_console_type', `the token is for ${other}, the address for ${type}`)
    if (known !== undefined) throw isOf(known)
    const others = INDISTINCT.filter((other) => other !== type)
    const consoles = await Promise.all(others.map((other) => this.#ask(admission.instance, other)))
    for (const [i, fresh] of consoles.entries()) {
      if (fresh.is === 'failed') throw fresh.refused
      if (fresh.is === 'here' && isSameAddress(admission, fresh.admission)) throw isOf(others[i]!)
    }
  }
}

/** The types that Nova has, without those whose tokens are recognised by their connect info. */
const INDISTINCT = servedConsoleTypes.filter((type) => kindOf(type).nova !== null && !kindOf(type).portOptional)

const FORBIDDEN =
  'give the service user the role admin, or one that passes context_is_admin and os_compute_api:os-remote-consoles'

const isSameAddress = (a: Admission, b: Admission) => a.host === b.host && a.port === b.port && a.tlsPort === b.tlsPort

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

/** What this process knows about tokens, by their digests. */
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
  /** The server's host id when the token was first used. */
  hostId?: string
  /** The console type that the token was used for. */
  type?: OpenableConsoleType
}
