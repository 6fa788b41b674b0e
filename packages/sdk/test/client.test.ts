/** The client against a real HTTP server on loopback, and where the platform's own failures are meant, a `fetch` in its place. */
import { inspect } from 'node:util'
import { EXPIRES_HEADER, LATEST, minor, versionDocument, versionHeaders } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import * as sdk from '../src/index.ts'
import { type Answer, serve } from './serve.ts'

const { createClient, staticToken } = sdk
const TOKEN = '7f3c1c1e-0000-4000-8000-5ec2e7700001'
const CONSOLE_TOKEN = '9f8c5b3e-0d3e-4b0c-9d53-0c6d0a4f1f6e'
const url = `http://p:6080/vnc_lite.html?path=%3Ftoken%3D${CONSOLE_TOKEN}`
const novnc = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
const made = (type = 'novnc', protocol = 'vnc') => ({ body: { remote_console: { protocol, type, url } } })
const connectInfo = { instance_uuid: 'i', host: 'h', port: 5900, internal_access_path: null }

/** A version document with the given range, and `answer` for everything else. */
const compute = (min: string, max: string, answer: (path: string, body: unknown) => Answer) => (request: Request_) =>
  request.path === '/v2.1/'
    ? { body: { version: { ...versionDocument('http://h'), min_version: min, version: max } } }
    : answer(request.path, request.body)
type Request_ = { readonly path: string; readonly body: unknown }

const failure = (work: Promise<unknown>): Promise<sdk.FaultError & sdk.AnswerError & sdk.ConnectionError> =>
  work.then(
    () => expect.unreachable('it must fail'),
    (error) => error,
  )

describe('a call', () => {
  it('sends method, path, body, token and both version headers', async () => {
    await using api = await serve(() => ({ ...made(), headers: versionHeaders('2.6') }))
    const client = createClient({ endpoint: `${api.origin}/v2.1/`, auth: staticToken(TOKEN), userAgent: 'portal/1' })
    const answer = await client.at('2.6').createRemoteConsole({ server_id: 'a/b?c', body: novnc })
    expect(answer.remote_console.url).toBe(url)
    expect(api.requests).toMatchObject([
      {
        method: 'POST',
        path: '/v2.1/servers/a%2Fb%3Fc/remote-consoles',
        body: novnc,
        headers: {
          accept: 'application/json',
          'content-type': 'application/json',
          'openstack-api-version': 'compute 2.6',
          'x-openstack-nova-api-version': '2.6',
          'x-auth-token': TOKEN,
          'user-agent': 'portal/1',
        },
      },
    ])
  })

  it('sends a GET without body and content type, and with the given query', async () => {
    await using api = await serve(() => ({ body: { servers: [] } }))
    const at = createClient({ endpoint: `${api.origin}/v2.1` }).at('2.1')
    await at.listServers({ query: { name: 'a b&c', limit: 2, marker: undefined } })
    expect(api.requests[0]).toMatchObject({
      method: 'GET',
      path: '/v2.1/servers?name=a+b%26c&limit=2',
      body: undefined,
    })
    expect(api.requests[0]!.headers).not.toHaveProperty('content-type')
    expect(api.requests[0]!.headers).not.toHaveProperty('x-auth-token')
  })

  it.each(['', '.', '..'])('refuses %j as an id before it sends a request', async (server_id) => {
    await using api = await serve(() => made())
    const error = await failure(
      createClient({ endpoint: api.origin }).at('2.6').createRemoteConsole({ server_id, body: novnc }),
    )
    expect(error).toBeInstanceOf(TypeError)
    expect(api.requests).toEqual([])
  })

  it.each(['h:8774', 'ftp://h/v2.1', 'http://user:pass@h/v2.1', 'http://h/v2.1?x=1', ''])(
    'refuses the endpoint %j',
    (endpoint) => expect(() => createClient({ endpoint })).toThrow(sdk.SettingsError),
  )

  it('fails without an endpoint and a catalogue', () => {
    expect(() => createClient({ auth: staticToken(TOKEN) })).toThrow(/endpoint/)
  })
})

describe('an answer', () => {
  const asked = async (answer: Answer, options: Partial<sdk.ClientOptions> = {}) => {
    await using api = await serve(() => answer)
    const client = createClient({ endpoint: `${api.origin}/v2.1`, ...options })
    return await failure(client.at('2.31').showConsoleAuthToken({ console_token: CONSOLE_TOKEN }))
  }

  it.each([
    [{ body: { console: { ...connectInfo, port: undefined } } }, 'lacks console.port'],
    [{ body: { console: { ...connectInfo, port: '5900' } } }, 'lacks console.port'],
    [{ body: { console: null } }, 'lacks console'],
    [{ body: [] }, 'lacks the object'],
    [{ text: `<html>${CONSOLE_TOKEN}` }, 'the answer is not JSON but a page'],
    [{ text: '' }, 'the answer is not JSON'],
    [{ status: 302, headers: { location: 'http://elsewhere/' }, text: '' }, 'redirect'],
    [{ status: 300, body: { choices: [] } }, 'answered 300'],
    [{ body: { console: connectInfo }, headers: versionHeaders('2.1') }, 'the response has another'],
    [{ body: { console: connectInfo }, headers: versionHeaders('2.999') }, 'the response has another'],
  ])('is refused with an AnswerError if unusable: %j', async (answer, message) => {
    const error = await asked(answer)
    expect(error).toBeInstanceOf(sdk.AnswerError)
    expect(error.message).toContain(message)
    expect(error.message).toMatch(/^showConsoleAuthToken: /)
    expect(inspect(error)).not.toContain(CONSOLE_TOKEN)
  })

  it('refuses a token that no header can carry, without quoting it', () => {
    for (const token of ['sec\nret', 'sec\u2028ret']) {
      expect(() => staticToken(token)).toThrow(/^The token contains a character that is not allowed in a header/)
    }
    expect(() => staticToken(`${TOKEN}\n`)).not.toThrow()
  })

  it('is read only up to the size limit', async () => {
    const text = JSON.stringify({ console: { ...connectInfo, host: 'h'.repeat(5000) } })
    expect((await asked({ text }, { maxResponseBytes: 4096 })).message).toContain('longer than 4096 bytes')
  })

  it('may lack optional members and have unknown ones', async () => {
    await using api = await serve(() => ({ body: { console: { ...connectInfo, more: 1 } } }))
    const at = createClient({ endpoint: `${api.origin}/v2.1` }).at('2.99')
    expect((await at.showConsoleAuthToken({ console_token: 't' })).console).toMatchObject({ host: 'h', more: 1 })
  })
})

describe('a fault', () => {
  const fault = async (answer: Answer) => {
    await using api = await serve(() => answer)
    return await failure(
      createClient({ endpoint: api.origin, auth: staticToken(TOKEN) })
        .at('2.1')
        .listServers(),
    )
  }

  it.each([
    [400, sdk.BadRequest, 'badRequest'],
    [401, sdk.Unauthorized, 'unauthorized'],
    [403, sdk.Forbidden, 'forbidden'],
    [404, sdk.NotFound, 'itemNotFound'],
    [405, sdk.MethodNotAllowed, 'badMethod'],
    [406, sdk.NotAcceptable, 'computeFault'],
    [409, sdk.Conflict, 'conflictingRequest'],
    [413, sdk.TooLarge, 'overLimit'],
    [415, sdk.UnsupportedMediaType, 'badMediaType'],
    [418, sdk.FaultError, 'computeFault'],
    [429, sdk.TooManyRequests, 'overLimit'],
    [500, sdk.ServerFault, 'computeFault'],
    [501, sdk.NotImplemented, 'notImplemented'],
    [503, sdk.ServiceUnavailable, 'serviceUnavailable'],
  ])('of status %i has its own class', async (status, type, key) => {
    const headers = { 'X-OpenStack-Request-ID': 'req-1', 'Retry-After': '7' }
    const error = await fault({ status, headers, body: { [key]: { code: status, message: 'Why.' } } })
    expect(error.constructor).toBe(type)
    expect(error).toMatchObject({
      name: type.name,
      message: 'Why.',
      status,
      key,
      operation: 'listServers',
      requestId: 'req-1',
      retryAfterSeconds: 7,
    })
  })

  it('without Nova’s body has its status, the alternative request id and a date in Retry-After', async () => {
    const date = new Date(Date.now() + 90_000).toUTCString()
    const headers = { 'X-Compute-Request-ID': 'req-2', 'Retry-After': date }
    const error = await fault({ status: 502, headers, text: '<html>Bad gateway' })
    expect(error).toMatchObject({ message: 'listServers: the API answered 502', key: undefined, requestId: 'req-2' })
    expect(error.retryAfterSeconds).toBeGreaterThan(80)
    expect(error.retryAfterSeconds).toBeLessThanOrEqual(90)
  })

  it('is stripped of markup and of secrets of the request', async () => {
    const message = `No ${TOKEN} here.<br /><br />\n\n\n`
    expect((await fault({ status: 404, body: { message, code: '404 Not Found' } })).message).toBe('No *** here.')
  })
})

describe('no answer', () => {
  const ask = (options: Partial<sdk.ClientOptions>, signal?: AbortSignal) =>
    failure(
      createClient({ endpoint: 'http://h/v2.1', auth: staticToken(TOKEN), ...options })
        .at('2.31')
        .showConsoleAuthToken({ console_token: CONSOLE_TOKEN }, { signal }),
    )

  it('because the port is closed is a ConnectionError with its cause', async () => {
    const closed = await serve(() => ({}))
    await closed[Symbol.asyncDispose]()
    const error = await ask({ endpoint: `${closed.origin}/v2.1` })
    expect(error).toBeInstanceOf(sdk.ConnectionError)
    expect(error).toMatchObject({ reason: 'network', cause: { cause: { code: 'ECONNREFUSED' } } })
    expect(error.message).toContain(closed.origin)
  })

  it('within the deadline is a ConnectionError, before the headers or within the body', async () => {
    await using silent = await serve(() => 'silence')
    await using stalled = await serve(() => 'stall')
    for (const { origin } of [silent, stalled]) {
      const error = await ask({ endpoint: origin, timeoutMs: 50 })
      expect(error).toMatchObject({ name: 'ConnectionError', reason: 'timeout' })
      expect(error.message).toBe(`${origin} did not answer within 50 ms`)
    }
  })

  it('because a kept-alive connection was closed leads to a retry of idempotent requests', async () => {
    let cut = true
    await using api = await serve(({ method }) => {
      const answer = method === 'GET' ? { body: { console: connectInfo } } : made()
      const now = cut ? ('cut' as const) : answer
      cut = !cut
      return now
    })
    const at = createClient({ endpoint: api.origin, auth: staticToken(TOKEN) }).at('2.31')
    await at.showConsoleAuthToken({ console_token: CONSOLE_TOKEN })
    expect(api.requests).toHaveLength(2)
    const error = await failure(at.createRemoteConsole({ server_id: 's', body: novnc }))
    expect(error).toMatchObject({ name: 'ConnectionError', reason: 'network' })
    expect(api.requests).toHaveLength(3)
  })

  it('because the connection is closed again and again is a ConnectionError', async () => {
    await using api = await serve(() => 'cut')
    expect(await ask({ endpoint: api.origin })).toMatchObject({ name: 'ConnectionError', reason: 'network' })
    expect(api.requests).toHaveLength(2)
  })

  it('because the caller aborted rejects with the caller’s reason', async () => {
    await using silent = await serve(() => 'silence')
    const controller = new AbortController()
    const waiting = ask({ endpoint: silent.origin }, controller.signal)
    await silent.received
    const reason = new Error('changed my mind')
    controller.abort(reason)
    expect(await waiting).toBe(reason)
    expect(await ask({ endpoint: silent.origin }, AbortSignal.abort(reason))).toBe(reason)
  })

  it('shows neither tokens nor addresses, even if the platform does', async () => {
    const error = await ask({
      fetch: async (address) => {
        const inner = Object.assign(new Error(`connect to ${address}`), { code: 'ConnectionRefused', path: address })
        throw new TypeError(`error sending request for url (${address}) with ${TOKEN}`, { cause: inner })
      },
    })
    expect(error).toMatchObject({ name: 'ConnectionError', cause: { cause: { code: 'ConnectionRefused' } } })
    const shown = inspect(error, { depth: 9, showHidden: true })
    for (const secret of [TOKEN, CONSOLE_TOKEN, 'os-console-auth-tokens']) expect(shown).not.toContain(secret)
  })
})

describe('negotiation', () => {
  const afterLatest = `2.${minor(LATEST) + 1}`

  it.each([
    ['2.1', LATEST, {}, LATEST],
    ['2.1', '2.90', {}, '2.90'],
    ['2.1', afterLatest, {}, LATEST],
    ['2.1', LATEST, { max: '2.5' }, '2.5'],
    ['2.53', '2.90', { min: '2.6' }, '2.90'],
  ] as const)('between an API with %s to %s and bounds %j gives %s', async (min, max, bounds, expected) => {
    await using api = await serve(compute(min, max, () => ({})))
    const client = createClient({ endpoint: `${api.origin}/v2.1` })
    expect((await client.negotiate(bounds)).microversion).toBe(expected)
  })

  it.each([
    ['2.1', '2.5', { min: '2.6' }, `The API serves 2.1 to 2.5, and 2.6 to ${LATEST} is wanted`],
    [afterLatest, '2.9999', {}, `The API serves ${afterLatest} to 2.9999`],
    ['', '', {}, 'The API serves no microversions'],
  ] as const)('between an API with %j to %j and bounds %j fails', async (min, max, bounds, message) => {
    await using api = await serve(compute(min, max, () => ({})))
    const error = await failure(createClient({ endpoint: `${api.origin}/v2.1` }).negotiate(bounds))
    expect(error).toBeInstanceOf(sdk.VersionError)
    expect(error.message).toContain(message)
  })

  it('reads the document once, without a token, above a project in the endpoint', async () => {
    await using api = await serve(compute('2.1', LATEST, () => ({})))
    const client = createClient({ endpoint: `${api.origin}/v2.1/6f70656e`, auth: staticToken(TOKEN) })
    await Promise.all([client.negotiate(), client.negotiate()])
    await client.negotiate()
    expect(api.requests.map(({ path }) => path)).toEqual(['/v2.1/'])
    expect(api.requests[0]!.headers).not.toHaveProperty('x-auth-token')
    expect(api.requests[0]!.headers).not.toHaveProperty('openstack-api-version')
  })

  it('fetches the document again after a failure and after a 406', async () => {
    const answers: Answer[] = [{ status: 503 }, {}, { status: 406 }, {}]
    await using api = await serve(compute('2.1', LATEST, () => answers.shift()!))
    const flaky = createClient({
      endpoint: `${api.origin}/v2.1`,
      fetch: (address, init) => (api.requests.length === 0 ? fetch(`${api.origin}/down`, init) : fetch(address, init)),
    })
    expect(await failure(flaky.negotiate())).toBeInstanceOf(sdk.ServiceUnavailable)
    await flaky.negotiate()
    await failure(flaky.at('2.1').listServers())
    await flaky.negotiate()
    expect(api.requests.filter(({ path }) => path === '/v2.1/')).toHaveLength(1)
    expect(await failure(flaky.at('2.1').listServers())).toBeInstanceOf(sdk.NotAcceptable)
    await flaky.negotiate()
    expect(api.requests.filter(({ path }) => path === '/v2.1/')).toHaveLength(2)
  })

  it('says what is wrong with an endpoint above the API', async () => {
    await using api = await serve(() => ({ body: { versions: [] } }))
    const error = await failure(createClient({ endpoint: api.origin }).negotiate())
    expect(error.message).toContain('does the endpoint end in /v2.1?')
  })
})

describe('createClient', () => {
  it('names the needed platform if this one is too old', () => {
    const { withResolvers } = Promise
    Object.assign(Promise, { withResolvers: undefined })
    try {
      expect(() => createClient({ endpoint: 'http://h' })).toThrow(
        `@oriel/sdk needs Node 22, Deno 1.38, Bun or a browser of 2024, or a newer one; this is ${process.version}`,
      )
    } finally {
      Object.assign(Promise, { withResolvers })
    }
  })
})

describe('createConsole', () => {
  it('uses remote consoles if the API has them', async () => {
    await using api = await serve(compute('2.1', '2.99', () => made('spice-direct', 'spice')))
    const client = createClient({ endpoint: `${api.origin}/v2.1` })
    const { protocol, type, url: created } = await client.createConsole('s', 'spice-direct')
    expect({ protocol, type, created }).toEqual({ protocol: 'spice', type: 'spice-direct', created: url })
    expect(api.requests[1]).toMatchObject({
      path: '/v2.1/servers/s/remote-consoles',
      body: { remote_console: { protocol: 'spice', type: 'spice-direct' } },
    })
  })

  it.each([
    ['novnc', 'vnc', 'os-getVNCConsole'],
    ['spice-html5', 'spice', 'os-getSPICEConsole'],
    ['serial', 'serial', 'os-getSerialConsole'],
  ] as const)('uses the action of %s if the API has no remote consoles', async (type, protocol, action) => {
    await using api = await serve(compute('2.1', '2.5', () => ({ body: { console: { type, url } } })))
    const client = createClient({ endpoint: `${api.origin}/v2.1` })
    expect(await client.createConsole('s', type)).toMatchObject({ protocol, type, url })
    expect(api.requests[1]).toMatchObject({ path: '/v2.1/servers/s/action', body: { [action]: { type } } })
  })

  describe('returns', () => {
    const serial = 'wss://p/serial/?token=t'
    const answering = async (answer: Answer) => {
      const api = await serve(compute('2.1', '2.99', () => answer))
      return { api, client: createClient({ endpoint: `${api.origin}/v2.1` }) }
    }
    const body = { remote_console: { protocol: 'serial', type: 'serial', url: serial } }

    it('the page that opens a WebSocket URL', async () => {
      const { api, client } = await answering({ body })
      await using _ = api
      const { url: created, pageUrl, expiresAt } = await client.createConsole('s', 'serial')
      expect({ created, pageUrl }).toEqual({ created: serial, pageUrl: 'https://p/serial/serial.html?token=t' })
      expect(expiresAt).toBeUndefined()
    })

    it('the expiry that the API tells', async () => {
      const expiry = '2026-11-29T12:00:00.000Z'
      const { api, client } = await answering({ body, headers: { [EXPIRES_HEADER]: expiry } })
      await using _ = api
      expect((await client.createConsole('s', 'serial')).expiresAt).toEqual(new Date(expiry))
    })

    it('no expiry for a malformed one', async () => {
      const { api, client } = await answering({ body, headers: { [EXPIRES_HEADER]: 'soon' } })
      await using _ = api
      expect((await client.createConsole('s', 'serial')).expiresAt).toBeUndefined()
    })

    it('no URL that cannot be opened', async () => {
      const remote_console = { protocol: 'serial', type: 'serial', url: `telnet://h/?token=${CONSOLE_TOKEN}` }
      const { api, client } = await answering({ body: { remote_console } })
      await using _ = api
      const error = await failure(client.createConsole('s', 'serial'))
      expect(error).toBeInstanceOf(sdk.AnswerError)
      expect(error.message).toBe('createRemoteConsole: the access URL cannot be opened')
    })
  })

  it.each([
    ['spice-direct', '2.98', '2.99'],
    ['webmks', '2.5', '2.8'],
  ] as const)('says that %s is too new for %s', async (type, served, needed) => {
    await using api = await serve(compute('2.1', served, () => ({})))
    const error = await failure(createClient({ endpoint: `${api.origin}/v2.1` }).createConsole('s', type))
    expect(error.message).toBe(
      `Consoles of type ${type} need microversion ${needed}, and the API serves up to ${served}`,
    )
  })
})

describe('a 401', () => {
  const renewing = () => {
    const tokens = ['stale', 'fresh', 'fresher']
    const rejected: unknown[] = []
    return {
      rejected_: rejected,
      headers: async () => ({ 'X-Auth-Token': tokens[0]! }),
      rejected: (headers: unknown) => {
        rejected.push(headers)
        tokens.shift()
      },
    }
  }

  it('leads to one retry with a new token', async () => {
    await using api = await serve(({ headers }) =>
      headers['x-auth-token'] === 'fresh' ? { body: { servers: [] } } : { status: 401 },
    )
    const auth = renewing()
    expect(await createClient({ endpoint: api.origin, auth }).at('2.1').listServers()).toEqual({ servers: [] })
    expect(auth.rejected_).toEqual([{ 'X-Auth-Token': 'stale' }])
  })

  it('is final the second time, and at once if the token cannot be renewed', async () => {
    await using api = await serve(() => ({ status: 401 }))
    const ask = (auth: sdk.Auth) => failure(createClient({ endpoint: api.origin, auth }).at('2.1').listServers())
    expect(await ask(renewing())).toBeInstanceOf(sdk.Unauthorized)
    expect(api.requests).toHaveLength(2)
    expect(await ask(staticToken(TOKEN))).toBeInstanceOf(sdk.Unauthorized)
    expect(api.requests).toHaveLength(3)
  })
})

it('shows no token when client or auth are printed', () => {
  const auth = staticToken(TOKEN)
  const client = createClient({ endpoint: 'http://h', auth })
  for (const value of [auth, client, client.at('2.1')]) {
    expect(inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value)).not.toContain(TOKEN)
  }
})
