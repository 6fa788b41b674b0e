/** The reason why a WebSocket did not open, as the servers on the way to the proxy answer it. */
import { faultBody } from '@oriel/contract'
import { describe, expect, it, vi } from 'vitest'
import { type ConsoleEnd, finalWords, reasonOf, waitingWords } from '../src/console-end.ts'
import { ReconnectPlan } from '../src/reconnect-plan.ts'
import { whyUnopened } from '../src/unopened.ts'

const ADDRESS = new URL('wss://h/novnc/?server=s&token=secret&resume=handle')
const HTML = '<html><body><h1>Bad Gateway</h1></body></html>'

/** Returns the reason for the answer of a server. */
async function reasonFor(answer: Response | Error, page = 'https://h/novnc/vnc.html') {
  const get = vi.fn(async () => {
    if (answer instanceof Error) throw answer
    return answer
  })
  const end = await whyUnopened(ADDRESS, { signal: new AbortController().signal, page, fetch: get as never })
  return { end, get }
}
const answered = async (status: number, body: BodyInit | null = HTML, headers: Record<string, string> = {}) =>
  (await reasonFor(new Response(body, { status, headers }))).end

/** Whether an element dials again by itself after this end. */
const retries = (end: ConsoleEnd, connectedMs = 0) =>
  new ReconnectPlan(() => 0.5).next({ end, connectedMs }) !== undefined

const bodies = {
  HTML,
  'no body': null,
  'an empty body': '',
  'cut JSON': '{"forbidden": {"code": 40',
  'JSON of another server': '{"error": "upstream"}',
  'JSON that is no object': 'null',
  'a huge body': 'x'.repeat(5_000_000),
} as const

describe.each(Object.entries(bodies))('a server on the way that answers with %s', (_, body) => {
  it.each([
    [401, 'sign_in_needed', 'none'],
    [403, 'gateway_refused', 'none'],
    [404, 'no_console', 'new-console'],
    [407, 'sign_in_needed', 'none'],
    [410, 'no_console', 'new-console'],
    [429, 'too_many_requests', 'reconnect'],
    [500, 'proxy_unreachable', 'reconnect'],
    [502, 'proxy_unreachable', 'reconnect'],
    [503, 'proxy_unreachable', 'reconnect'],
    [504, 'proxy_unreachable', 'reconnect'],
    [522, 'proxy_unreachable', 'reconnect'],
  ] as const)('and %i is named as the reason', async (status, reason, remedy) => {
    const end = (await answered(status, body))!
    expect(end).toMatchObject({ code: 1006, remedy, clean: false })
    expect(reasonOf(end)).toBe(reason)
    expect(retries(end)).toBe(remedy === 'reconnect')
    // A server may refuse while it restarts.
    expect(retries(end, 60_000)).toBe(true)
  })

  it.each([400, 405, 426, 501])('and %i, as to any request without an Upgrade, tells nothing', async (status) => {
    expect(await answered(status, body)).toBeUndefined()
  })
})

it.each([403, 404, 421, 502, 503])('a fault of the proxy itself with %i tells nothing', async (status) => {
  expect(await answered(status, JSON.stringify(faultBody(status, 'No page has this path.')))).toBeUndefined()
})

it('a page that the proxy serves at the address tells nothing', async () => {
  expect(await answered(200)).toBeUndefined()
})

it('waits for as long as the server asks, in seconds or until a date', async () => {
  expect(await answered(429, null, { 'Retry-After': '12' })).toMatchObject({ retryAfterSeconds: 12 })
  expect(await answered(503, HTML, { 'Retry-After': '7' })).toMatchObject({ retryAfterSeconds: 7 })
  const date = new Date(Date.now() + 60_000).toUTCString()
  const { retryAfterSeconds = 0 } = (await answered(503, HTML, { 'Retry-After': date }))!
  expect(retryAfterSeconds).toBeGreaterThan(1)
  expect(retryAfterSeconds).toBeLessThanOrEqual(60)
  for (const header of ['soon', '-5', '0', new Date(0).toUTCString()])
    expect(await answered(503, HTML, { 'Retry-After': header })).not.toHaveProperty('retryAfterSeconds')
})

it('says that the proxy cannot be reached if no server answers', async () => {
  const { end } = await reasonFor(new TypeError('Failed to fetch'))
  expect(reasonOf(end!)).toBe('proxy_unreachable')
  expect(waitingWords(end!, false)).toEqual({ text: 'The console proxy cannot be reached.', advice: 'Trying again…' })
})

it('says where to get another console if the address has none', async () => {
  expect(finalWords((await answered(404))!)).toEqual({
    text: 'There is no console at this address, or no longer.',
    advice: 'Go back to where you opened it and open a new console.',
  })
})

it('asks at the address of the console, without its token and handle', async () => {
  const { get } = await reasonFor(new Response(HTML, { status: 502 }))
  const [[url, init]] = get.mock.calls as unknown as [[URL, RequestInit]]
  expect(url.href).toBe('https://h/novnc/?server=s')
  expect(init).toMatchObject({ headers: { Accept: 'application/json' }, redirect: 'manual' })
})

it('does not ask for a console of another origin, whose answer the browser hides', async () => {
  const { end, get } = await reasonFor(new Response(HTML, { status: 502 }), 'https://portal.example/')
  expect(end).toBeUndefined()
  expect(get).not.toHaveBeenCalled()
})

it('does not read a huge body to its end', async () => {
  let sent = 0
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 1_024
      controller.enqueue(new Uint8Array(1_024).fill(32))
    },
  })
  expect(reasonOf((await answered(502, endless))!)).toBe('proxy_unreachable')
  expect(sent).toBeLessThan(100_000)
})
