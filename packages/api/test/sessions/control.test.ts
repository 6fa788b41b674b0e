/** The audit trail of control: who controlled a console, from when to when, as proxies report it. */
import { describe, expect, test } from 'vitest'
import { SERVER_ID, type TestApi, testApi } from '../support.ts'
import { admit, capture, minted, sessionIn } from './proxies.ts'

const beat = (
  api: TestApi,
  control: readonly object[],
  { proxy = 'proxy-1', ended = [] }: { readonly proxy?: string; readonly ended?: readonly object[] } = {},
) => api.call('PUT', `/oriel/v1/proxies/${proxy}`, { as: 'service', body: { open: [], ended, control } })

const admitted = async (api: TestApi) => sessionIn(await admit(api, await minted(api, { label: 'Ann' })))
const afterMs = (ms: number) => new Date(Date.now() + ms).toISOString()

describe('a span of control', () => {
  test('is in the trail when it starts, and when it ends, with session, user and label', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const session = await admitted(api)
    const since = new Date().toISOString()
    expect(await beat(api, [{ id: session, since }])).toMatchObject({ status: 200, body: { takes_control: true } })
    const common = { session, userId: 'alice', serverId: SERVER_ID, label: 'Ann', proxyId: 'proxy-1', since }
    expect(audits().at(-1)).toMatchObject({ audit: 'control-started', ...common })
    const until = new Date().toISOString()
    await beat(api, [{ id: session, since, until }])
    const durationMs = Date.parse(until) - Date.parse(since)
    expect(audits().at(-1)).toMatchObject({ audit: 'control-ended', ...common, until, durationMs })
  })

  test('that ends with its session comes before the end of the session, and is not in the future', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const id = await admitted(api)
    const at = new Date().toISOString()
    const ended = [{ id, bytes_to_client: 1, bytes_to_console: 1, ended_at: at, reason: 'client_closed' }]
    await beat(api, [{ id, since: at, until: afterMs(60_000) }], { ended })
    expect(audits().slice(-2)).toMatchObject([
      { audit: 'control-ended', session: id },
      { audit: 'ended', session: id },
    ])
    expect(Date.parse(String(audits().at(-2)?.until))).toBeLessThanOrEqual(Date.now())
  })

  test.each([
    ['before its session began', -86_400_000],
    ['in the future', 86_400_000],
  ])('%s is put into the time of its session', async (_, ms) => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const id = await admitted(api)
    const from = Date.now() - 60_000
    await beat(api, [{ id, since: afterMs(ms), until: afterMs(-2 * ms) }])
    const record = audits().at(-1) as { readonly since: string; readonly until: string; readonly durationMs: number }
    for (const time of [record.since, record.until]) {
      expect(Date.parse(time)).toBeGreaterThan(from)
      expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
    }
    expect(record.durationMs).toBeGreaterThanOrEqual(0)
  })

  test("of another proxy's session, and of an unknown one, is not in the trail", async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const id = await admitted(api)
    const spans = [id, 'unknown'].map((each) => ({ id: each, since: new Date().toISOString() }))
    expect((await beat(api, spans, { proxy: 'proxy-2' })).status).toBe(200)
    expect(audits().map(({ audit }) => audit)).not.toContain('control-started')
  })

  test.each([
    [[{ id: 'a' }], "'since' is a required property"],
    [[{ id: 'a', since: '2026-99-99T00:00:00Z' }], 'since: must be a time'],
    [[{ id: 'a', since: '2026-01-01T00:00:00Z', until: 'never' }], 'until'],
    [Array.from({ length: 10_001 }, () => ({ id: 'a', since: '2026-01-01T00:00:00Z' })), 'control'],
  ])('that is malformed is refused', async (control, word) => {
    await using api = await testApi()
    const { status, fault } = await beat(api, control)
    expect({ status, message: fault?.message }).toEqual({ status: 400, message: expect.stringContaining(word) })
  })
})
