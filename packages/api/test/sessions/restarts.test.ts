/** Tokens and sessions of a server that has stopped just now, and may be about to run again. */
import { expect, test } from 'vitest'
import { type Source, SourceError } from '../../src/index.ts'
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
  const state = { isOn: true, mayRestart: false, isListed: true, projectId: server().projectId, port: address.port }
  const source = fakeSource([], {
    find: async () => (state.isListed ? server({ projectId: state.projectId }) : undefined),
    console: async () => {
      if (!state.isOn) throw new SourceError('ConsoleTypeUnavailable')
      return { ...address, port: state.port }
    },
    mayRestart: () => state.mayRestart,
  } satisfies Partial<Source>)
  return { source, state, stop: (how: object = {}) => Object.assign(state, { isOn: false, mayRestart: true, ...how }) }
}

const restarted = { isOn: true, mayRestart: false, isListed: true }
const admit = (api: TestApi, credential: object) =>
  api.call('POST', SESSIONS, { as: 'service', body: { ...credential, ...PROXY } })
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
