/** Tokens and sessions of a server that has stopped just now, and may be about to run again. */
import { REASONS_HEADER } from '@oriel/contract'
import { describe, expect, test } from 'vitest'
import { type Source, SourceError } from '../../src/index.ts'
import { endAfter, revokeServer } from '../../src/sessions/revoke.ts'
import type { VmState } from '../../src/sources/server.ts'
import {
  address,
  consolesPath,
  fakeSource,
  OTHER_PROJECT,
  remoteConsole,
  server,
  type TestApi,
  testApi,
} from '../support.ts'

const SESSIONS = '/oriel/v1/sessions'
const PROXY = { proxy_id: 'proxy-1', client_address: '10.0.0.9' }

interface Admitted {
  readonly session: { readonly id: string; readonly console: Readonly<Record<string, unknown>> }
}

/** A source of one server, which stops and runs as `state` says. */
function stoppable() {
  const { projectId } = server()
  const state = { isOn: true, mayRestart: false, isSeenOff: false, isListed: true, projectId, port: address.port }
  const source = fakeSource([], {
    find: async () => (state.isListed ? server({ projectId: state.projectId }) : undefined),
    console: async () => {
      if (!state.isOn) throw new SourceError('ConsoleTypeUnavailable')
      return { ...address, port: state.port }
    },
    mayRestart: () => state.mayRestart,
    switchedOff: () => (state.isSeenOff ? { projectId } : undefined),
  } satisfies Partial<Source>)
  return { source, state, stop: (how: object = {}) => Object.assign(state, { isOn: false, mayRestart: true, ...how }) }
}

const restarted = { isOn: true, mayRestart: false, isSeenOff: false, isListed: true }
/** Admits through a proxy that does not know `switched_off`, unless `headers` say so. */
const admit = (api: TestApi, credential: object, headers: Readonly<Record<string, string>> = {}) =>
  api.call('POST', SESSIONS, { as: 'service', body: { ...credential, ...PROXY }, headers })
const knowing = { [REASONS_HEADER]: 'other, switched_off' }
const sessionOf = ({ body }: { readonly body: unknown }) => (body as Admitted).session

async function minted(api: TestApi, options?: object): Promise<string> {
  const route = options
    ? api.call('POST', `/oriel/v1/servers/${server().id}/consoles`, { body: { type: 'novnc', ...options } })
    : api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('vnc', 'novnc') })
  const { url } = Object.values((await route).body as object)[0] as { url: string }
  return /token%3D([0-9a-f-]+)/.exec(url)![1]!
}

test.each([
  ['is off', {}],
  ['is gone', { isListed: false }],
])('a token of a server that %s opens no console, and opens it again after the restart', async (_, how) => {
  const { source, state, stop } = stoppable()
  await using api = await testApi({ source })
  const token = await minted(api)
  stop(how)
  const { console } = sessionOf(await admit(api, { token }))
  expect(console).toMatchObject({ host: 'restarting.invalid', port: null, tls_port: null, internal_access_path: null })
  Object.assign(state, restarted)
  expect(sessionOf(await admit(api, { token })).console).toMatchObject({ host: address.host, port: address.port })
})

test('a token for a single use is not used up by a server that may restart', async () => {
  const { source, state, stop } = stoppable()
  await using api = await testApi({ source })
  const token = await minted(api, { single_use: true })
  stop()
  expect(sessionOf(await admit(api, { token })).console).not.toHaveProperty('single_use')
  Object.assign(state, restarted)
  expect(sessionOf(await admit(api, { token })).console).toMatchObject({ port: address.port, single_use: true })
  expect((await admit(api, { token })).status).toBe(404)
})

test.each([
  ['has stopped for good', { isOn: false }, 409],
  ['runs at another address', { port: 5999 }, 409],
  ['has another owner', { projectId: OTHER_PROJECT, mayRestart: true }, 409],
])('a token of a server that %s is revoked', async (_, how, status) => {
  const { source, state } = stoppable()
  await using api = await testApi({ source })
  const token = await minted(api)
  Object.assign(state, how)
  expect((await admit(api, { token })).status).toBe(status)
  Object.assign(state, stoppable().state)
  expect((await admit(api, { token })).status).toBe(404)
})

test('a page resumes its session during a restart, and reaches the console only after it', async () => {
  const { source, state, stop } = stoppable()
  await using api = await testApi({ source })
  const { id } = sessionOf(await admit(api, { token: await minted(api) }))
  const resume = { resume: { session_id: id } }
  stop()
  expect(sessionOf(await admit(api, resume)).console).toMatchObject({ host: 'restarting.invalid', port: null })
  Object.assign(state, restarted)
  expect(sessionOf(await admit(api, resume)).console).toMatchObject({ host: address.host, port: address.port })
  stop({ mayRestart: false })
  expect((await admit(api, resume)).status).toBe(404)
})

describe('while a server is switched off, a proxy that knows the reason', () => {
  const off = { body: { switchedOff: { code: 409, message: 'The server is switched off.' } }, status: 409 }
  const sessionsOf = async (api: TestApi) => (await api.deps.sessions.list({ limit: 10 })).length

  test.each([
    ['listed', true],
    ['not listed', false],
  ])('gets that answer for a token, without a session and without using it up, if it is %s', async (_, isListed) => {
    const { source, state, stop } = stoppable()
    await using api = await testApi({ source })
    const token = await minted(api, { single_use: true })
    stop({ isSeenOff: true, isListed })
    expect(await admit(api, { token }, knowing)).toMatchObject(off)
    expect(await sessionsOf(api)).toBe(0)
    Object.assign(state, restarted)
    expect(sessionOf(await admit(api, { token }, knowing)).console).toMatchObject({ port: address.port })
  })

  test('gets it for a session to resume, also after the time for a restart, and the console once it is on', async () => {
    const { source, state, stop } = stoppable()
    await using api = await testApi({ source })
    const { id } = sessionOf(await admit(api, { token: await minted(api) }))
    const resume = { resume: { session_id: id } }
    const located = async () => (await api.call('GET', `${SESSIONS}/${id}/console`, { as: 'service' })).body
    stop({ isSeenOff: true, isListed: false })
    expect(await admit(api, resume, knowing)).toMatchObject(off)
    stop({ mayRestart: false })
    await revokeServer(api.deps, server().id, endAfter({ kind: 'gone', serverId: server().id }, source))
    expect(await admit(api, resume, knowing)).toMatchObject(off)
    expect(await located()).toEqual({ console: { moving: false, address: null, off: true } })
    expect(await sessionsOf(api)).toBe(1)
    Object.assign(state, restarted, { port: 5999 })
    expect(sessionOf(await admit(api, resume, knowing)).console).toMatchObject({ port: 5999 })
  })

  test('gets 404 for a session to resume if the server was another owner’s when it was switched off', async () => {
    const { source, stop } = stoppable()
    const ofOther = { ...source, switchedOff: () => ({ projectId: OTHER_PROJECT }) }
    await using api = await testApi({ source: ofOther })
    const { id } = sessionOf(await admit(api, { token: await minted(api) }))
    stop({ mayRestart: false, isListed: false })
    expect((await admit(api, { resume: { session_id: id } }, knowing)).status).toBe(404)
  })

  test('gets 404 for a session that was revoked', async () => {
    const { source, state, stop } = stoppable()
    await using api = await testApi({ source })
    const { id } = sessionOf(await admit(api, { token: await minted(api) }))
    stop({ isSeenOff: true })
    await revokeServer(api.deps, server().id)
    expect((await admit(api, { resume: { session_id: id } }, knowing)).status).toBe(404)
    Object.assign(state, restarted)
    expect((await admit(api, { resume: { session_id: id } }, knowing)).status).toBe(404)
  })

  test('gets it for a configured server that has an address', async () => {
    const found = { vmState: 'active' as VmState }
    const source = fakeSource([], {
      find: async () => server(found),
      switchedOff: () => (found.vmState === 'stopped' ? server(found) : undefined),
    })
    await using api = await testApi({ source })
    const { id } = sessionOf(await admit(api, { token: await minted(api) }))
    found.vmState = 'stopped'
    expect(await admit(api, { resume: { session_id: id } }, knowing)).toMatchObject(off)
  })

  test.each([
    ['as switched off', knowing, 'switched_off'],
    ['as closed, for a proxy that does not know the reason,', {}, 'console_closed'],
  ])('ends its open sessions %s with its next beat', async (_, headers, reason) => {
    await using api = await testApi()
    const { id } = sessionOf(await admit(api, { token: await minted(api) }))
    await revokeServer(api.deps, server().id, 'switched_off')
    const body = { open: [{ id, bytes_to_client: 0, bytes_to_console: 0 }], ended: [] }
    const { body: answer } = await api.call('PUT', '/oriel/v1/proxies/proxy-1', { as: 'service', body, headers })
    expect(answer).toMatchObject({ end: [{ id, reason }] })
  })
})

test.each([
  ['moved', true, 'moved'],
  ['stopped', true, 'switched_off'],
  ['gone', true, 'switched_off'],
  ['stopped', false, 'revoked'],
  ['gone', false, 'revoked'],
  ['reassigned', true, 'revoked'],
] as const)('sessions of a server that is %s, and switched off: %s, end as %s', (kind, isOff, reason) => {
  const switchedOff = () => (isOff ? server() : undefined)
  expect(endAfter({ kind, serverId: 'any' }, { switchedOff })).toBe(reason)
})

test("Nova's route finds no token of a server that may restart, and finds it again after the restart", async () => {
  const { source, state, stop } = stoppable()
  await using api = await testApi({ source })
  const path = `/v2.1/os-console-auth-tokens/${await minted(api)}`
  const show = async () => (await api.call('GET', path, { as: 'service', version: '2.99' })).status
  stop({ isOn: true })
  expect(await show()).toBe(404)
  Object.assign(state, restarted)
  expect(await show()).toBe(200)
})
