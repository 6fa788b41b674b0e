/** The behaviour of every authority, also when its service fails. Each adapter's test runs this whole suite. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { inspect } from 'node:util'
import type { RefusalName } from '@oriel/contract'
import { Secret } from '@oriel/runtime'
import type { Auth } from '@oriel/sdk'
import { describe, expect, test } from 'vitest'
import type { BreakerOptions, Evidence } from '../../src/authority/breaker.ts'
import type { Authority } from '../../src/index.ts'
import type { OpenSession } from '../../src/session/open-session.ts'
import { INSTANCE, OTHER_TOKEN, TOKEN } from '../fixture.ts'

/** A response of the service: JSON, or plain text. */
export interface ServiceAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** The service of an adapter, in its protocol. */
export interface Service {
  /** Whether the request looks a token up. */
  asks(request: ServiceRequest): boolean
  /** The token in the request. */
  tokenOf(request: ServiceRequest): string
  /** The response for a known token. */
  readonly known: ServiceAnswer
  /** The response for an unknown or expired token. */
  readonly unknown: ServiceAnswer
  /** Valid responses with consoles that cannot be dialled, each with the reason. */
  readonly unusable: readonly (readonly [wrong: string, answer: ServiceAnswer])[]
  /** The response to every other request. */
  other(request: ServiceRequest): ServiceAnswer
}

export interface ServiceRequest {
  readonly method: string
  readonly url: string
  readonly body: string
}

export interface AuthorityOptions {
  readonly origin: string
  readonly auth: Auth
  readonly timeoutMs: number
  readonly breaker: BreakerOptions
}

export interface AuthorityCase {
  readonly service: Service
  open(options: AuthorityOptions): Authority
  /** The requests and responses for session records. Absent if the authority has none. */
  readonly sessions?: {
    /** The reason of an ended session that the request reports, if any. */
    tells(request: ServiceRequest, reason: string): boolean
    /** The response to such a request that ends every session. */
    readonly wantsAllEnded: ServiceAnswer
  }
}

type Behaviour = 'answer' | 'hang' | 'reset' | 'cut' | ServiceAnswer

const faultOf = (status: number, key: string): ServiceAnswer => ({
  status,
  body: { [key]: { code: status, message: 'No.' } },
})

const SERVICE_TOKEN = 'service-credential-of-the-suite'
const LONG_MS = 60_000

export function authoritySuite(name: string, { service, open, sessions }: AuthorityCase): void {
  /** Starts an authority and its service, which knows `TOKEN`. */
  async function started({ timeoutMs = LONG_MS, threshold = 1000 } = {}) {
    await using opened = new AsyncDisposableStack()
    const played = opened.use(await playService(service))
    let nowMs = 0
    const breaker = { threshold, restMs: 1000, now: () => nowMs }
    const auth = { headers: async () => ({ 'X-Auth-Token': SERVICE_TOKEN }) }
    const authority = opened.use(open({ origin: played.origin, auth, timeoutMs, breaker }))
    const close = opened.move()
    return Object.assign(played, {
      authority,
      rested: () => {
        nowMs += 1000
      },
      admit: (token = TOKEN, signal = new AbortController().signal) =>
        authority.admit(new Secret(token), { address: '192.0.2.7' }, signal),
      [Symbol.asyncDispose]: () => close.disposeAsync(),
    })
  }
  type World = Awaited<ReturnType<typeof started>>
  const failure = ({ admit }: World) =>
    admit().then(
      () => expect.unreachable('it must be refused'),
      (error: unknown) => error,
    )
  const unavailable = expect.objectContaining({ name: 'Refused', refusal: 'authority_unavailable' })
  const check = async ({ authority }: World) => authority.health.check(new AbortController().signal)

  describe(`authority: ${name}`, () => {
    test('returns the console of a known token', async () => {
      await using world = await started()
      expect(await world.admit()).toMatchObject({ instance: INSTANCE, host: '10.0.0.5', port: 5901 })
      await check(world)
    })

    test('refuses an unknown token, and stays healthy', async () => {
      await using world = await started({ threshold: 1 })
      await expect(world.admit(OTHER_TOKEN)).rejects.toMatchObject({ name: 'Refused', refusal: 'unknown_token' })
      await check(world)
      await world.admit()
    })

    test('caches no answer: an expired token is unknown at once', async () => {
      await using world = await started()
      const { expiresAt } = await world.admit()
      if (expiresAt) expect(expiresAt.getTime()).toBeGreaterThan(Date.now())
      world.expire()
      await expect(world.admit()).rejects.toMatchObject({ refusal: 'unknown_token' })
    })

    test('answers many concurrent look-ups', async () => {
      await using world = await started()
      const answers = await Promise.all(Array.from({ length: 10 }, () => world.admit()))
      for (const answer of answers) expect(answer).toMatchObject({ instance: INSTANCE, port: 5901 })
    })

    test.each<[string, Behaviour]>([
      ['drops the connection', 'reset'],
      ['drops the connection within the response', 'cut'],
      ['fails', { status: 500, body: { computeFault: { code: 500, message: 'No.' } } }],
      ['is in maintenance', { status: 503, body: { serviceUnavailable: { code: 503, message: 'No.' } } }],
      ['refuses the credential', { status: 401, body: { error: { code: 401, message: 'No.' } } }],
      ['forbids the request for the credential', { status: 403, body: { forbidden: { code: 403, message: 'No.' } } }],
      ['is another service, without such a route', { status: 404, body: '404 Not Found' }],
      ['answers without JSON', { body: '<html>It works!</html>' }],
      ['answers with JSON of another schema', { body: { hello: 'world' } }],
      ['answers with an empty body', { body: '' }],
      ['redirects', { status: 302, headers: { Location: 'http://127.0.0.1:1/' }, body: '' }],
      ['answers with an endless body', { body: ' '.repeat(9 * 1024 * 1024) }],
    ])('is unavailable when its service %s', async (_, behaviour) => {
      await using world = await started({ threshold: 1 })
      await world.admit()
      world.behave(behaviour)
      const refused = await failure(world)
      expect(refused).toEqual(unavailable)
      const shown = inspect(refused, { depth: 9, showHidden: true })
      for (const secret of [TOKEN, SERVICE_TOKEN]) expect(shown).not.toContain(secret)
      await expect(check(world)).rejects.toThrow('the last 1 calls failed')
    })

    // Tenants choose the tokens: a response that one tenant can cause must not open the breaker for the others.
    test.each<[string, ServiceAnswer, RefusalName, Evidence]>([
      ...service.unusable.map(([wrong, answer]): [string, ServiceAnswer, RefusalName, Evidence] => [
        `names a console with ${wrong}`,
        answer,
        'console_unreachable',
        'answer',
      ]),
      ['knows no such token', service.unknown, 'unknown_token', 'answer'],
      ['finds the token malformed', faultOf(400, 'badRequest'), 'unknown_token', 'answer'],
      ['answers that the console has moved', faultOf(409, 'conflictingRequest'), 'console_moved', 'answer'],
      ['answers that the machine is off', faultOf(409, 'switchedOff'), 'switched_off', 'answer'],
      ['limits requests', faultOf(429, 'overLimit'), 'authority_unavailable', 'answer'],
      ['answers 429 through a load balancer', { status: 429, body: 'slow down' }, 'authority_unavailable', 'answer'],
      ['refuses the credential', faultOf(401, 'unauthorized'), 'authority_unavailable', 'fault'],
      ['refuses the credential’s role', faultOf(403, 'forbidden'), 'authority_unavailable', 'fault'],
      ['answers 400 without a fault', { status: 400, body: 'Bad Request' }, 'authority_unavailable', 'fault'],
      ['answers 404 without a fault', { status: 404, body: 'Not Found' }, 'authority_unavailable', 'fault'],
      ['answers 409 without a fault', { status: 409, body: 'Conflict' }, 'authority_unavailable', 'fault'],
      ['fails', faultOf(500, 'computeFault'), 'authority_unavailable', 'fault'],
      ['is in maintenance', faultOf(503, 'serviceUnavailable'), 'authority_unavailable', 'fault'],
      ['answers without the outer member', { body: { server: {} } }, 'authority_unavailable', 'fault'],
    ])('refuses with $2 and reports "$3" to the breaker when its service %s', async (_, answer, refusal, evidence) => {
      await using world = await started({ threshold: 3 })
      world.behave(answer)
      for (let i = 0; i < 4; i += 1) await expect(world.admit()).rejects.toMatchObject({ name: 'Refused', refusal })
      expect(world.authority.breaker?.state).toBe(evidence === 'fault' ? 'open' : 'closed')
      if (evidence === 'fault') return
      await check(world)
      world.behave('answer')
      expect(await world.admit()).toMatchObject({ instance: INSTANCE })
    })

    test('returns the Retry-After of a 429', async () => {
      await using world = await started()
      world.behave({ ...faultOf(429, 'overLimit'), headers: { 'Retry-After': '17' } })
      expect(await failure(world)).toMatchObject({ headers: { 'Retry-After': '17' } })
    })

    test('is unavailable when nothing listens', async () => {
      await using world = await started()
      await world.stop()
      expect(await failure(world)).toEqual(unavailable)
    })

    test('waits for a slow service only until its deadline', async () => {
      await using world = await started({ timeoutMs: 100 })
      world.behave('hang')
      expect(await failure(world)).toEqual(unavailable)
    })

    test('stops waiting when the client disconnects', async () => {
      await using world = await started()
      await world.admit()
      world.behave('hang')
      const client = new AbortController()
      const waiting = world.admit(TOKEN, client.signal)
      await world.asked(2)
      client.abort(new Error('the client left'))
      await expect(waiting).rejects.toThrow('the client left')
    })

    test('stops calling a service after consecutive failures, and tries it again after a pause', async () => {
      await using world = await started({ threshold: 3 })
      await world.admit()
      world.behave({ status: 500, body: '' })
      for (let i = 0; i < 3; i += 1) expect(await failure(world)).toEqual(unavailable)
      expect(world.authority.breaker?.state).toBe('open')
      expect(await failure(world)).toMatchObject({ refusal: 'authority_unavailable', cause: { name: 'BreakerOpen' } })
      expect(world.count()).toBe(4)
      world.behave('answer')
      world.rested()
      await check(world)
      expect(await world.admit()).toMatchObject({ instance: INSTANCE })
      expect(world.authority.breaker?.state).toBe('closed')
    })

    test('rejects pending look-ups when it closes', async () => {
      await using world = await started()
      await world.admit()
      world.behave('hang')
      const waiting = failure(world)
      await world.asked(2)
      await world.authority[Symbol.asyncDispose]()
      expect(await waiting).toEqual(unavailable)
    })

    if (sessions) recordTests(sessions)
    else {
      test('has no session records', async () => {
        await using world = await started()
        expect(await world.admit()).not.toHaveProperty('record')
      })
    }
  })

  function recordTests({ tells, wantsAllEnded }: NonNullable<AuthorityCase['sessions']>): void {
    test('reports the end of a session with its reason', async () => {
      await using world = await started()
      const { record } = await world.admit()
      record!.opened(openSession())
      record!.ended('idle')
      await world.heard((request) => tells(request, 'idle'))
    })

    test('ends a session at the request of its service', async () => {
      await using world = await started()
      const { record } = await world.admit()
      const { promise: ended, resolve: end } = Promise.withResolvers<unknown>()
      record!.opened(openSession(end))
      world.answerOthers(wantsAllEnded)
      expect(await ended).toMatchObject({ reason: 'revoked' })
    })
  }
}

const openSession = (end: (ending: unknown) => void = () => {}): Pick<OpenSession, 'view' | 'end'> => ({
  view: { bytesToClient: 7, bytesToConsole: 3 } as OpenSession['view'],
  end,
})

/** The service over HTTP. Behaviours apply to look-ups of tokens; other requests succeed. */
async function playService(service: Service) {
  const requests: ServiceRequest[] = []
  const tokens = new Set([TOKEN])
  let behaviour: Behaviour = 'answer'
  let others: ServiceAnswer | undefined
  let news = Promise.withResolvers<void>()
  const server = createServer((request, response) => void answer(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const questions = () => requests.filter((request) => service.asks(request))
  const until = async (done: () => boolean) => {
    while (!done()) await news.promise
  }
  const stop = async () => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    server.closeAllConnections()
    await closed
  }
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    behave: (next: Behaviour) => {
      behaviour = next
    },
    /** Sets the response to other requests from now on. */
    answerOthers: (next: ServiceAnswer) => {
      others = next
    },
    expire: () => tokens.clear(),
    count: () => questions().length,
    /** Resolves when that many tokens have been looked up. */
    asked: (count: number) => until(() => questions().length >= count),
    /** Resolves when such a request has arrived. */
    heard: (fits: (request: ServiceRequest) => boolean) => until(() => requests.some(fits)),
    stop,
    [Symbol.asyncDispose]: stop,
  }

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = incoming
    const request = { method, url, body: await text(incoming) }
    requests.push(request)
    news.resolve()
    news = Promise.withResolvers()
    if (!service.asks(request)) return write(response, others ?? service.other(request))
    if (behaviour === 'hang') return
    if (behaviour === 'reset') return void incoming.socket.resetAndDestroy()
    if (behaviour === 'cut') {
      response.writeHead(200, { 'Content-Length': 1000 }).write('{"', () => incoming.socket.resetAndDestroy())
    } else if (behaviour !== 'answer') write(response, behaviour)
    else write(response, tokens.has(service.tokenOf(request)) ? service.known : service.unknown)
  }
}

function write(response: ServerResponse, { status = 200, headers = {}, body }: ServiceAnswer): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
