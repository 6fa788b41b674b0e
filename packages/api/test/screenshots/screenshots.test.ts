/** Screenshots over HTTP, with a reader of screens that opens no console. */
import { readFault, tokenOf } from '@oriel/contract'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createApi } from '../../src/index.ts'
import { ScreenFailure, type ScreenReader, type ScreenRequest } from '../../src/screenshots/screen-reader.ts'
import { type Caller, fakeSource, OTHER_PROJECT, SERVER_ID, server, testApi } from '../support.ts'

const PATH = `/oriel/v1/servers/${SERVER_ID}/screenshot`
const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47)

/** A reader that answers all requests alike, and keeps them. */
class FakeScreens implements ScreenReader {
  readonly requests: ScreenRequest[] = []
  readonly #answer: (request: ScreenRequest) => Promise<Uint8Array<ArrayBuffer>>

  constructor(answer: (request: ScreenRequest) => Promise<Uint8Array<ArrayBuffer>> = async () => PNG) {
    this.#answer = answer
  }

  read(request: ScreenRequest) {
    this.requests.push(request)
    return this.#answer(request)
  }
  async [Symbol.asyncDispose]() {}
}

async function screenshotApi(options: Parameters<typeof testApi>[0] = {}, screens = new FakeScreens()) {
  const api = await testApi({ screens, ...options })
  const app = createApi(api.deps)
  const get = async (path = PATH, as: Caller = 'member') => {
    const response = await app.request(path, { headers: { 'X-Auth-Token': as } })
    const bytes = new Uint8Array(await response.arrayBuffer())
    const isJson = response.headers.get('Content-Type')?.startsWith('application/json')
    const fault = isJson ? readFault(JSON.parse(new TextDecoder().decode(bytes)))?.detail.message : undefined
    return { status: response.status, headers: response.headers, bytes, fault }
  }
  return { ...api, screens, get, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

describe('screenshots', () => {
  afterEach(() => void vi.useRealTimers())

  test('are PNGs that nothing stores', async () => {
    await using api = await screenshotApi()
    const { status, headers, bytes } = await api.get()
    expect([status, bytes, headers.get('Content-Type'), headers.get('Cache-Control')]).toEqual([
      ...[200, PNG, 'image/png', 'no-store'],
    ])
  })

  test('are text for ?text=1', async () => {
    await using api = await screenshotApi({}, new FakeScreens(async () => new TextEncoder().encode('login:\n')))
    const { bytes, headers } = await api.get(`${PATH}?text=1`)
    expect([new TextDecoder().decode(bytes), headers.get('Content-Type')]).toEqual([
      ...['login:\n', 'text/plain; charset=utf-8'],
    ])
    expect(api.screens.requests.map(({ format }) => format)).toEqual(['text'])
  })

  test('are taken with a single-use token for watching, which opens nothing afterwards', async () => {
    const seen: unknown[] = []
    const screens = new FakeScreens(async ({ url }) => {
      const { role, singleUse, label } = (await api.deps.tokens.find(tokenOf(url)!))!
      seen.push({ role, singleUse, label })
      return PNG
    })
    await using api = await screenshotApi({}, screens)
    await api.get()
    expect(seen).toEqual([{ role: 'watch', singleUse: true, label: 'Screenshot' }])
    expect(await api.deps.tokens.find(tokenOf(screens.requests[0]!.url)!)).toBeUndefined()
  })

  test('are taken at screenshots.proxy_url if it is set', async () => {
    await using api = await screenshotApi({ toml: 'screenshots.proxy_url = "http://10.0.0.9:6080/vnc_lite.html"' })
    await api.get()
    expect(api.screens.requests[0]!.url).toMatch(/^http:\/\/10\.0\.0\.9:6080\/vnc_lite\.html\?/)
  })

  test('share one connection while they are taken and for two seconds', async () => {
    await using api = await screenshotApi()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await Promise.all([api.get(), api.get(), api.get(PATH, 'admin')])
    await vi.advanceTimersByTimeAsync(1999)
    await api.get()
    expect(api.screens.requests).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    await api.get()
    expect(api.screens.requests).toHaveLength(2)
  })

  test('of a server that has got another owner are taken anew', async () => {
    const owned = [server()]
    await using api = await screenshotApi({ source: fakeSource(owned) })
    await api.get()
    owned[0] = server({ projectId: OTHER_PROJECT })
    expect((await api.get()).status).toBe(404)
    expect((await api.get(PATH, 'stranger')).status).toBe(200)
    expect(api.screens.requests).toHaveLength(2)
  })

  test.each<[Caller, number]>([
    ['member', 200],
    ['admin', 200],
    ['reader', 403],
    ['service', 403],
    ['stranger', 404],
    ['unscoped', 403],
  ])('answer %s with %i', async (as, status) => {
    await using api = await screenshotApi()
    expect((await api.get(PATH, as)).status).toBe(status)
  })

  test.each([
    ['"oriel:consoles:create" = ["reader"]', 200],
    ['"oriel:screenshots:show" = ["reader"]', 200],
    ['"oriel:consoles:create" = ["reader"]\n"oriel:screenshots:show" = ["admin"]', 403],
  ])('follow the policy %s: a reader gets %i', async (rules, status) => {
    await using api = await screenshotApi({ toml: `[policy]\n${rules}` })
    expect((await api.get(PATH, 'reader')).status).toBe(status)
  })

  test.each([
    [{ vmState: 'stopped' }, /is off and shows no screen/],
    [{ vmState: 'building', host: null }, /is not ready/],
    [{ taskState: 'migrating' }, /while it is in task_state migrating/],
  ] as const)('of a server with %j are refused with 409', async (changes, message) => {
    await using api = await screenshotApi({ source: fakeSource([server(changes)]) })
    const { status, fault } = await api.get()
    expect([status, fault]).toEqual([409, expect.stringMatching(message)])
    expect(api.screens.requests).toEqual([])
  })

  test.each([
    ['consoles.novnc.enabled = false', 400, 'Unavailable console type novnc.'],
    ['screenshots.enabled = false', 501, 'Screenshots are disabled.'],
  ])('are refused with %s', async (toml, status, message) => {
    await using api = await screenshotApi({ toml, ...(status === 501 && { screens: undefined as never }) })
    const { status: answered, fault } = await api.get()
    expect([answered, fault]).toEqual([status, message])
  })

  test.each([
    ['timeout', 504, /no picture within 10 seconds/],
    ['refused', 503, /did not open the console: No guest here\./],
    ['unreachable', 503, /proxy does not answer the API \(screenshots\.proxy_url\)/],
    ['unreadable', 503, /cannot be read/],
  ] as const)('fail if the screen is not read: %s, %i', async (reason, status, message) => {
    const screens = new FakeScreens(() => Promise.reject(new ScreenFailure(reason, 'No guest here.')))
    await using api = await screenshotApi({}, screens)
    const { status: answered, fault } = await api.get()
    expect([answered, fault]).toEqual([status, expect.stringMatching(message)])
    await api.get()
    expect(screens.requests).toHaveLength(2)
    expect(await api.deps.tokens.find(tokenOf(screens.requests[0]!.url)!)).toBeUndefined()
  })

  test('are limited by project, and say when to try again', async () => {
    const servers = ['a', 'b', 'c', 'd'].map((id) =>
      server({ id, projectId: id === 'd' ? OTHER_PROJECT : server().projectId }),
    )
    await using api = await screenshotApi({ source: fakeSource(servers), toml: 'screenshots.per_minute = 2' })
    const answers = []
    for (const id of ['a', 'b', 'c', 'd']) answers.push(await api.get(`/oriel/v1/servers/${id}/screenshot`, 'admin'))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429, 200])
    expect(Number(answers[2]!.headers.get('Retry-After'))).toBeGreaterThan(0)
  })

  test('open at most two consoles at once', async () => {
    const waiting: (() => void)[] = []
    const screens = new FakeScreens(() => new Promise((resolve) => waiting.push(() => resolve(PNG))))
    const ids = ['a', 'b', 'c']
    await using api = await screenshotApi({ source: fakeSource(ids.map((id) => server({ id }))) }, screens)
    const answers = ids.map((id) => api.get(`/oriel/v1/servers/${id}/screenshot`))
    await vi.waitFor(() => expect(waiting).toHaveLength(2))
    waiting.shift()!()
    await vi.waitFor(() => expect(screens.requests).toHaveLength(3))
    for (const finish of waiting) finish()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('answer 503 if the screens before them take too long, and leave the queue', async () => {
    const finish: (() => void)[] = []
    const screens = new FakeScreens(() => new Promise((resolve) => finish.push(() => resolve(PNG))))
    const ids = ['a', 'b', 'c']
    await using api = await screenshotApi({ source: fakeSource(ids.map((id) => server({ id }))) }, screens)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const answers = ids.map((id) => api.get(`/oriel/v1/servers/${id}/screenshot`))
    await vi.waitFor(() => expect(screens.requests).toHaveLength(2))
    await vi.advanceTimersByTimeAsync(10_000)
    const { status, headers } = await answers[2]!
    expect([status, headers.get('Retry-After')]).toEqual([503, '2'])
    for (const one of finish) one()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 503])
    expect(screens.requests).toHaveLength(2)
  })

  test('answer 504 after limits.source_timeout_seconds', async () => {
    const screens = new FakeScreens(() => new Promise(() => {}))
    await using api = await screenshotApi({ toml: 'limits.source_timeout_seconds = 1' }, screens)
    const { status, fault } = await api.get()
    expect([status, fault]).toEqual([504, expect.stringMatching(/not taken within limits\.source_timeout_seconds/)])
  })
})
