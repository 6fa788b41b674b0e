import { describe, expect, test } from 'vitest'
import { createNoAuthenticator } from '../../src/index.ts'
import { nameFilter } from '../../src/servers/name-filter.ts'
import { vmStateOf } from '../../src/sources/status.ts'
import { fakeSource, OTHER_PROJECT, SERVER_ID, server, testApi } from '../support.ts'

const many = [
  server({ id: 'a', name: 'web-1' }),
  server({ id: 'b', name: 'web-2', vmState: 'stopped' }),
  server({ id: 'c', name: 'DB', projectId: OTHER_PROJECT }),
  server({ id: 'd', name: 'gone', vmState: 'deleted' }),
  server({ id: 'e', name: 'web.3' }),
]
const ids = (body: unknown) => (body as { servers: { id: string }[] }).servers.map(({ id }) => id)

describe('lists', () => {
  test.each([
    ['', ['a', 'b', 'e']],
    ['name=web-1', ['a']],
    ['name=^web.3$', ['e']],
    ['name=eb', ['a', 'b', 'e']],
    ['status=SHUTOFF', ['b']],
    ['limit=2', ['a', 'b']],
    ['limit=2&marker=b', ['e']],
    ['limit=0', []],
    ['all_tenants=0', ['a', 'b', 'e']],
    ['deleted=False&changes-since=2020&foo=bar', ['a', 'b', 'e']],
  ])('are filtered by ?%s', async (query, expected) => {
    await using api = await testApi({ source: fakeSource(many) })
    for (const path of ['/v2.1/servers', '/v2.1/servers/detail']) {
      expect(ids((await api.call('GET', `${path}?${query}`)).body)).toEqual(expected)
    }
  })

  test.each([
    ['', ['c']],
    ['all_tenants', ['a', 'b', 'c', 'e']],
    ['all_tenants=1&project_id=11111111111111111111111111111111', ['a', 'b', 'e']],
    ['all_tenants=True&name=db', ['c']],
  ])('are filtered for an administrator of another project by ?%s', async (query, expected) => {
    await using api = await testApi({ source: fakeSource(many) })
    expect(ids((await api.call('GET', `/v2.1/servers?${query}`, { as: 'admin' })).body)).toEqual(expected)
  })

  test.each([
    ['', ['a', 'b', 'c', 'e']],
    ['all_tenants=0', ['a', 'b', 'c', 'e']],
    ['name=^db$', ['c']],
    [`project_id=${OTHER_PROJECT}`, ['c']],
  ])('contain servers of every project without authentication, ?%s', async (query, expected) => {
    await using api = await testApi({ source: fakeSource(many), authenticator: createNoAuthenticator() })
    for (const path of ['/v2.1/servers', '/v2.1/servers/detail', `/v2.1/${OTHER_PROJECT}/servers`]) {
      expect(ids((await api.call('GET', `${path}?${query}`)).body)).toEqual(expected)
    }
    expect((await api.call('GET', `/v2.1/${OTHER_PROJECT}/servers/a`)).status).toBe(200)
  })

  test('contain all projects only for administrators', async () => {
    await using api = await testApi({ source: fakeSource(many) })
    const { status, fault } = await api.call('GET', '/v2.1/servers/detail?all_tenants=1')
    expect([status, fault?.message]).toEqual([
      403,
      "Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed.",
    ])
  })

  test('contain a link to the next page, with the same filters', async () => {
    await using api = await testApi({ source: fakeSource(many), toml: 'public_url = "https://api.example"' })
    const { body } = await api.call('GET', '/v2.1/servers?name=web&limit=1')
    const { href } = (body as { servers_links: { href: string }[] }).servers_links[0]!
    expect(href).toBe('https://api.example/v2.1/servers?name=web&limit=1&marker=a')
    const next = await api.call('GET', href.replace('https://api.example', ''))
    expect(ids(next.body)).toEqual(['b'])
  })

  test.each(['marker=nope', 'limit=-1', 'limit=x'])('are refused with 400 for ?%s', async (query) => {
    await using api = await testApi({ source: fakeSource(many) })
    expect((await api.call('GET', `/v2.1/servers?${query}`)).status).toBe(400)
  })
})

describe('documents', () => {
  const show = async (version: string, changes = {}) => {
    await using api = await testApi({ source: fakeSource([server(changes)]) })
    const { body } = await api.call('GET', `/v2.1/servers/${SERVER_ID}`, { version })
    return (body as { server: Record<string, unknown> }).server
  }

  test('link to the flavor, and embed it in later microversions', async () => {
    expect((await show('2.46')).flavor).toEqual({ id: 'unknown', links: [expect.anything()] })
    expect((await show('2.47')).flavor).toMatchObject({ vcpus: 0, original_name: 'unknown' })
    expect((await show('2.47')).flavor).not.toHaveProperty('id')
  })

  test.each([
    ['2.8', 'locked', false],
    ['2.9', 'locked', true],
    ['2.18', 'description', false],
    ['2.19', 'description', true],
    ['2.25', 'tags', false],
    ['2.26', 'tags', true],
    ['2.72', 'locked_reason', false],
    ['2.73', 'locked_reason', true],
  ])('at %s have %s as specified', async (version, member, there) => {
    expect(Object.hasOwn(await show(version), member)).toBe(there)
  })

  test.each(Object.entries(vmStateOf).filter(([status]) => status !== 'DELETED'))(
    'have the status %s for a server in %s',
    async (status, vmState) => {
      expect((await show('2.1', { vmState })).status).toBe(status)
    },
  )

  test('show some tasks in the status', async () => {
    expect((await show('2.1', { taskState: 'migrating' })).status).toBe('MIGRATING')
    expect((await show('2.1', { taskState: 'powering-off' })).status).toBe('ACTIVE')
  })

  test('have a hostId that hides the host, and is empty without one', async () => {
    expect((await show('2.1')).hostId).toMatch(/^[0-9a-f]{56}$/)
    expect((await show('2.1', { host: null })).hostId).toBe('')
  })
})

describe('the name filter', () => {
  test.each([
    ['', 'anything', true],
    ['web', 'my-WEB-1', true],
    ['^web', 'my-web', false],
    ['web$', 'web-1', false],
    ['^web-1$', 'web-1', true],
    ['^web\\-1$', 'web-1', true],
    ['a.c', 'abc', true],
    ['a\\.c', 'abc', false],
    ['^a.*c$', 'a--c--c', true],
    ['^a.*c$', 'a--c--d', false],
    ['cost\\$', 'cost$', true],
    ['a(b', 'xa(by', true],
    ['[a]', '[a]', true],
    ['^$', '', true],
    ['x'.repeat(256), 'x'.repeat(256), false],
  ])('applies %s to %s: %s', (pattern, name, found) => {
    expect(nameFilter(pattern)(name)).toBe(found)
  })

  test('takes linear time for a hostile pattern', () => {
    const matches = nameFilter(`^${'.*a'.repeat(80)}$`)
    expect(matches(`${'a'.repeat(5_000)}b`)).toBe(false)
  })
})
