/** The list of servers with their consoles, which the home page shows. */
import type { ExtensionResponse, Protocol } from '@oriel/contract'
import { describe, expect, test } from 'vitest'
import { combineSources } from '../../src/index.ts'
import type { ScreenReader } from '../../src/screenshots/screen-reader.ts'
import { type Caller, fakeSource, OTHER_PROJECT, server, type TestApi, testApi } from '../support.ts'

const PATH = '/oriel/v1/servers'
const SINCE = '2026-11-22T04:46:41.000Z'
type List = ExtensionResponse<'listServersWithConsoles'>

const many = [
  server({ id: 'a', name: 'web-10' }),
  server({ id: 'b', name: 'web-2', vmState: 'stopped' }),
  server({ id: 'c', name: 'DB', projectId: OTHER_PROJECT }),
  server({ id: 'd', name: 'gone', vmState: 'deleted' }),
  server({ id: 'e', name: 'Web (old)' }),
]

const list = async (api: TestApi, query = '', as: Caller = 'member') =>
  (await api.call('GET', PATH + query, { as })).body as List
const screens: ScreenReader = { read: () => Promise.reject(new Error('no screen')), async [Symbol.asyncDispose]() {} }
const ids = ({ servers }: List) => servers.map(({ id }) => id)

describe('the list of servers with consoles', () => {
  test.each([
    ['', ['e', 'b', 'a'], 3],
    ['?search=web', ['e', 'b', 'a'], 3],
    ['?search=%20WEB-%20', ['b', 'a'], 2],
    ['?search=(', ['e'], 1],
    ['?search=.*', [], 0],
    ['?search=b', ['e', 'b', 'a'], 3],
    ['?status=shutoff', ['b'], 1],
    ['?status=NONE', [], 0],
    ['?limit=2', ['e', 'b'], 3],
    ['?limit=2&offset=2', ['a'], 3],
    ['?offset=3', [], 3],
    ['?limit=0', [], 3],
  ])('is sorted by name and filtered by %s', async (query, expected, total) => {
    await using api = await testApi({ source: fakeSource(many) })
    const found = await list(api, query)
    expect([ids(found), found.total]).toEqual([expected, total])
  })

  test('contains every project for an administrator', async () => {
    await using api = await testApi({ source: fakeSource(many) })
    expect(ids(await list(api, '', 'admin'))).toEqual(['c', 'e', 'b', 'a'])
  })

  test('counts the statuses of the servers that match the search, not the status', async () => {
    await using api = await testApi({ source: fakeSource(many) })
    expect((await list(api, '?search=web-&status=ACTIVE')).statuses).toEqual([
      { status: 'ACTIVE', servers: 1 },
      { status: 'SHUTOFF', servers: 1 },
    ])
  })

  test('names the enabled consoles that a server has, or none if its source does not know', async () => {
    const known: Readonly<Record<string, readonly Protocol[]>> = { a: ['serial', 'vnc'], b: [], c: ['mks'] }
    const source = fakeSource(
      ['a', 'b', 'c', 'd'].map((id) => server({ id, name: id })),
      { protocols: ({ id }) => known[id] },
    )
    for (const each of [source, combineSources([source, fakeSource([])])]) {
      await using api = await testApi({ source: each, toml: '' })
      const { servers } = await list(api)
      expect(servers.map(({ consoles }) => consoles)).toEqual([['novnc', 'serial'], [], [], null])
    }
  })

  test.each([
    [{}, null],
    [{ vmState: 'paused' }, null],
    [{ vmState: 'stopped' }, 'off'],
    [{ vmState: 'shelved_offloaded', host: null }, 'off'],
    [{ vmState: 'building', host: null }, 'building'],
    [{ taskState: 'migrating' }, 'moving'],
    [{ taskState: 'deleting' }, 'deleting'],
  ] as const)('says of a server with %j that its consoles are unavailable because %s', async (changes, expected) => {
    await using api = await testApi({ source: fakeSource([server(changes)]) })
    expect((await list(api)).servers[0]!.unavailable).toBe(expected)
  })

  test('says since when a hypervisor has not answered', async () => {
    await using api = await testApi({ source: fakeSource([server({ unansweredSince: Date.parse(SINCE) })]) })
    expect((await list(api)).servers[0]!.unanswered_since).toBe(SINCE)
  })

  test.each([
    ['member', { open: ['control', 'watch'], list_sessions: true, end_sessions: true, show_screenshots: true }],
    ['reader', { open: [], list_sessions: true, end_sessions: false, show_screenshots: false }],
  ] as const)('says what a %s may do', async (as, may) => {
    await using api = await testApi({ screens })
    expect((await list(api, '', as)).may).toEqual(may)
  })

  test('says that nobody may see screenshots where there are none, or the policy grants them to others', async () => {
    await using without = await testApi()
    await using others = await testApi({ screens, toml: '[policy]\n"oriel:screenshots:show" = ["admin"]' })
    for (const api of [without, others]) expect((await list(api)).may.show_screenshots).toBe(false)
  })

  test('says that a reader may watch where the policy grants it', async () => {
    const toml = '[policy]\n"oriel:consoles:create" = ["reader", "member"]\n"oriel:sessions:list" = ["admin"]'
    await using api = await testApi({ screens, toml })
    expect((await list(api, '', 'reader')).may).toEqual({
      ...{ open: ['watch'], list_sessions: false, end_sessions: false },
      show_screenshots: true,
    })
  })

  test.each([
    ['"os_compute_api:servers:detail" = ["admin"]', 403],
    ['"os_compute_api:servers:detail" = ["admin"]\n"oriel:servers:list" = ["member"]', 200],
    ['"oriel:servers:list" = ["admin"]', 403],
  ])('follows the policy %s', async (rules, status) => {
    await using api = await testApi({ toml: `[policy]\n${rules}` })
    expect((await api.call('GET', PATH)).status).toBe(status)
  })

  test.each(['limit=x', 'offset=-1', 'all_tenants=1', `search=${'x'.repeat(256)}`])('refuses ?%s', async (query) => {
    await using api = await testApi()
    expect((await api.call('GET', `${PATH}?${query}`)).status).toBe(400)
  })
})
