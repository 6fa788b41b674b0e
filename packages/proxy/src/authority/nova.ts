/**
 * The authority `nova`: connect info from `GET /os-console-auth-tokens/{token}` of an unmodified Nova, at the highest
 * microversion that both sides support. Nova does not return type, expiry and base URL.
 */
import { randomUUID } from 'node:crypto'
import { ConfigError, deadline, type Logger, Secret, sha256Hex, within } from '@oriel/runtime'
import { type Auth, createClient, type Fetch } from '@oriel/sdk'
import { Refused } from '../refused.ts'
import type { ResumeGrant } from '../resume/grant.ts'
import { type Admission, type Authority, admissionOf, type LostConsole, type Whereabouts } from './authority.ts'
import { Breaker, type BreakerOptions } from './breaker.ts'
import { type AuthorityKeys, DEFAULT_KEYS, diagnosing, followSignIn } from './diagnose.ts'
import { shareFlights } from './flights.ts'
import { novaConnectInfo } from './nova-connect-info.ts'
import { judgeServer, namesOf } from './nova-names.ts'
import { isSwitchedOff, type NovaServer, stateObjection } from './nova-state.ts'
import { NovaValidation, type ValidateSetting } from './nova-validation.ts'
import { judgeToken, probe, type Verdict } from './verdict.ts'
import { Watch, type WatchTimes } from './watch.ts'

export interface NovaAuthorityOptions {
  /** The compute endpoint, such as `http://127.0.0.1:8774/v2.1`. Default: the endpoint in the catalogue of `auth`. */
  readonly endpoint?: string | undefined
  /** The proxy's credential. Its role must allow it to read console auth tokens. */
  readonly auth: Auth
  /** Deadline of one look-up: a slow cell can make Nova wait for a minute. */
  readonly timeoutMs: number
  /** In place of the platform's `fetch`. */
  readonly fetch?: Fetch
  /** Whether consoles need the names of their instances, so that none opens while Nova does not return these. Default: true. */
  readonly needsNames?: boolean
  readonly breaker?: BreakerOptions
  /** How often the proxy checks Nova, once `watch` was called. */
  readonly watch?: WatchTimes
  /** The names of the settings in messages about failures. Default: those of `proxy.toml`. */
  readonly keys?: AuthorityKeys
  /** How consoles are validated. Default: the strictest that the credential permits. */
  readonly validate?: ValidateSetting
  /** Whether to create a new console for a session that is resumed after its token has expired. Default: false. */
  readonly renew?: boolean
  /** Default: nothing is logged. */
  readonly log?: Logger
}

/** Creates the authority. It connects at the first look-up; disposal aborts look-ups in flight. */
export function novaAuthority(options: NovaAuthorityOptions): Authority {
  const { timeoutMs, needsNames = true, renew = false } = options
  const signIn = followSignIn(options.auth)
  const client = createClient({ ...options, auth: signIn.auth })
  const breaker = new Breaker(options.breaker)
  // Names need a separate breaker: successful token look-ups would reset a shared count of failures in a row.
  const namesBreaker = new Breaker(options.breaker)
  // Closing the proxy aborts look-ups in flight.
  const closing = new AbortController()
  const diagnose = diagnosing({ service: 'Nova', rule: RULE, keys: options.keys ?? DEFAULT_KEYS, signIn })
  const watch = new Watch({ ...options.watch, verify, diagnose, onVerified: () => breaker.close() })
  const shareLookUps = shareFlights<Admission>()
  const shareServers = shareFlights<NovaServer>()
  const validation = new NovaValidation({
    setting: options.validate,
    client,
    server: (instance) => serverOf(instance, closing.signal),
    limited,
    diagnose,
    log: options.log,
    now: options.breaker?.now,
  })

  return {
    health: { name: 'authority', check },
    breaker,
    namesBreaker,
    admit: (token, _client, signal) => admit(token, signal),
    resumesByToken: true,
    resume: (grant, _client, signal) => resume(grant, signal),
    ...(renew ? { locate } : {}),
    names: async (instance, signal) => namesOf(await serverOf(instance, signal)),
    get validation() {
      return validation.validation
    },
    validate: (claim, signal) =>
      claim.admission.isCurrent ? Promise.resolve(claim.admission) : within(signal, validation.validate(claim)),
    watch: (log) => watch.start(log),
    verify: async (signal) => {
      try {
        await verify(signal)
      } catch (cause) {
        throw signal.aborted ? signal.reason : new ConfigError([diagnose(cause)], { cause })
      }
    },
    [Symbol.asyncDispose]: async () => {
      closing.abort(new Error('the proxy is closing'))
      await watch[Symbol.asyncDispose]()
    },
  }

  async function admit(token: Secret, signal: AbortSignal): Promise<Admission> {
    const judge = (cause: unknown) => judgeToken(cause, { service: 'Nova', diagnose, minted: isMinted(token) })
    const ask = () =>
      breaker.run(
        watched(() => lookUp(token), judge),
        evidenceBy(judge),
      )
    return await answered(shareLookUps(sha256Hex(token.reveal()), ask), signal, judge)
  }

  /** Looks the token up while Nova knows it, and then, with `renew`, creates a new console. */
  async function resume({ token, instance, type }: ResumeGrant, signal: AbortSignal): Promise<Admission> {
    try {
      return await admit(token!, signal)
    } catch (error) {
      if (!renew || !(error instanceof Refused) || error.refusal !== 'unknown_token') throw error
    }
    return await within(signal, validation.current(instance, type))
  }

  /**
   * Creates a new console to learn where it is, but not while Nova migrates the server (Nova answers 409 then) and not for a
   * server that has no console.
   */
  async function locate({ instance, type }: LostConsole, signal: AbortSignal): Promise<Whereabouts> {
    const server = await serverOf(instance, signal)
    if (server['OS-EXT-STS:task_state'] === 'migrating') return { is: 'moving' }
    if (isSwitchedOff(server)) return { is: 'off' }
    if (stateObjection(server) !== undefined) return { is: 'gone' }
    const { host, port } = await within(signal, validation.current(instance, type))
    return { is: 'at', host, port }
  }

  async function check(signal?: AbortSignal): Promise<void> {
    await watch.check(signal)
    breaker.check()
    if (needsNames || validation.needsServers) namesBreaker.check()
  }

  async function verify(signal: AbortSignal): Promise<void> {
    await probe(() => lookUp(new Secret(randomUUID()), signal))
  }

  /** Runs a client's look-up, and reports its outcome to the watch. */
  function watched<T>(ask: () => Promise<T>, judge: Judge): () => Promise<T> {
    return async () => {
      try {
        const answer = await ask()
        watch.answered()
        return answer
      } catch (cause) {
        const { evidence, isRefusal } = judge(cause)
        if (evidence === 'answer') watch.answered()
        if (isRefusal) watch.failed(cause)
        throw cause
      }
    }
  }

  async function lookUp(token: Secret, ...ends: AbortSignal[]): Promise<Admission> {
    using limit = deadline(timeoutMs, closing.signal, ...ends)
    return admissionOf(await novaConnectInfo(client, token.reveal(), limit.signal))
  }

  /** Shared by names and state, so that a connect that needs both makes one request. */
  async function serverOf(instance: string, signal: AbortSignal): Promise<NovaServer> {
    const judge = (cause: unknown) => judgeServer(cause, diagnose)
    const ask = () => namesBreaker.run(() => limited(showServer(instance)), evidenceBy(judge), instance)
    return await answered(shareServers(instance, ask), signal, judge)
  }

  function showServer(instance: string) {
    return async (signal: AbortSignal) => {
      const api = await client.negotiate({ signal })
      return (await api.showServer({ server_id: instance }, { signal })).server
    }
  }

  async function limited<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    using limit = deadline(timeoutMs, closing.signal)
    return await ask(limit.signal)
  }
}

/** Nova's policy rule for looking up a token. */
const RULE = 'os_compute_api:os-console-auth-tokens'

/** Nova mints UUIDs (nova/compute/manager.py, `uuidutils.generate_uuid()`). */
const isMinted = (token: Secret) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(token.reveal())

type Judge = (cause: unknown) => Verdict

const evidenceBy = (judge: Judge) => (error: unknown) => judge(error).evidence

/** Waits for an answer until the client disconnects. @throws Refused, or the signal's reason once it aborts */
async function answered<T>(asked: Promise<T>, signal: AbortSignal, judge: Judge): Promise<T> {
  try {
    return await within(signal, asked)
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    throw judge(cause).refused
  }
}
