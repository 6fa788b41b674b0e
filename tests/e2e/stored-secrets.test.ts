/** Calls every route of a running API on each store: no credential may be in its database, its log or its responses. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ExtensionRouteName, extensionRoutes, type RouteName, routes } from '@oriel/contract'
import { freePort, requires, temporaryFolder } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { type DatabaseServer, startMariadb, startPostgres } from './parts/databases.ts'
import {
  ADMIN_TOKEN,
  apiConfig,
  COLLEAGUE_TOKEN,
  listening,
  MEMBER_TOKEN,
  merge,
  READER_TOKEN,
  SERVICE_TOKEN,
  STRANGER_TOKEN,
  sha256,
  startApp,
} from './parts/oriel.ts'

const SERVER_ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
/** The VNC password of the server, which only the proxy that admits a session gets. */
const VNC_PASSWORD = 'vnc-password-of-the-tests'
const PROXY_ID = 'proxy-of-the-test'
const apiTokens = [MEMBER_TOKEN, COLLEAGUE_TOKEN, SERVICE_TOKEN, READER_TOKEN, ADMIN_TOKEN, STRANGER_TOKEN]

type AnyRoute = RouteName | ExtensionRouteName | 'other'

interface Answer {
  readonly route: AnyRoute
  readonly status: number
  /** Headers and body. */
  readonly text: string
  /** The console token in the response, if there is one. */
  readonly token: string | undefined
}

/** Calls every route, and returns all responses in order. */
async function callAll(origin: string): Promise<readonly Answer[]> {
  const answers: Answer[] = []
  const call = async (route: AnyRoute, method: string, path: string, { as = MEMBER_TOKEN, body }: CallOptions = {}) => {
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: {
        'X-Auth-Token': as,
        'OpenStack-API-Version': `compute ${path.endsWith('/action') ? '2.1' : '2.99'}`,
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    const token = /token(?:=|%3D)([0-9a-f-]{36})/.exec(text)?.[1]
    answers.push({ route, status: response.status, text: `${JSON.stringify([...response.headers])}${text}`, token })
    return { text, token: token! }
  }
  const server = `/v2.1/servers/${SERVER_ID}`
  const create = (protocol: string, type: string) => {
    const body = { remote_console: { protocol, type } }
    return call('createRemoteConsole', 'POST', `${server}/remote-consoles`, { body })
  }
  const act = (route: AnyRoute, action: string, given: object) =>
    call(route, 'POST', `${server}/action`, { body: { [action]: given } })
  await act('getVncConsole', 'os-getVNCConsole', { type: 'novnc' })
  await act('getSpiceConsole', 'os-getSPICEConsole', { type: 'spice-html5' })
  await act('getSerialConsole', 'os-getSerialConsole', { type: 'serial' })
  await act('getRdpConsole', 'os-getRDPConsole', { type: 'rdp-html5' })
  await act('getConsoleOutput', 'os-getConsoleOutput', {})
  await create('spice', 'spice-direct')
  const { token } = await create('vnc', 'novnc')
  await call('showConsoleAuthToken', 'GET', `/v2.1/os-console-auth-tokens/${token}`, { as: SERVICE_TOKEN })
  await call('listServers', 'GET', '/v2.1/servers')
  await call('listServersDetail', 'GET', '/v2.1/servers/detail')
  await call('showServer', 'GET', server)
  await call('showVersion', 'GET', '/v2.1/')
  const admit = async () => {
    const body = { token, proxy_id: PROXY_ID, client_address: '192.0.2.7' }
    const { text } = await call('admitSession', 'POST', '/oriel/v1/sessions', { as: SERVICE_TOKEN, body })
    return (JSON.parse(text) as { session: { id: string } }).session.id
  }
  const [ended, open] = [await admit(), await admit()]
  const counts = { bytes_to_client: 1, bytes_to_console: 2 }
  const over = { id: ended, ...counts, ended_at: new Date().toISOString(), reason: 'client_closed' }
  const beat = { open: [{ id: open, ...counts }], ended: [over] }
  await call('beat', 'PUT', `/oriel/v1/proxies/${PROXY_ID}`, { as: SERVICE_TOKEN, body: beat })
  await call('listSessions', 'GET', '/oriel/v1/sessions')
  await call('locateConsole', 'GET', `/oriel/v1/sessions/${open}/console`, { as: SERVICE_TOKEN })
  await call('followConsole', 'POST', `/oriel/v1/sessions/${open}/console`, { as: SERVICE_TOKEN })
  await callForPorts(call, open)
  const invitations = `/oriel/v1/sessions/${open}/invitations`
  const invited = await call('createInvitation', 'POST', invitations, { body: { role: 'watch', label: 'Bob' } })
  await call('listInvitations', 'GET', invitations)
  const { invitation } = JSON.parse(invited.text) as { invitation: { id: string } }
  await call('revokeInvitation', 'DELETE', `${invitations}/${invitation.id}`)
  const ofPage = `/oriel/v1/proxies/${PROXY_ID}/sessions/${open}/invitations`
  const asProxy = { as: SERVICE_TOKEN }
  const byPage = await call('createPageInvitation', 'POST', ofPage, { ...asProxy, body: { role: 'control' } })
  await call('listPageInvitations', 'GET', ofPage, asProxy)
  const created = JSON.parse(byPage.text) as { invitation: { id: string } }
  await call('revokePageInvitation', 'DELETE', `${ofPage}/${created.invitation.id}`, asProxy)
  await call('listServersWithConsoles', 'GET', '/oriel/v1/servers')
  await call('showScreenshot', 'GET', `/oriel/v1/servers/${SERVER_ID}/screenshot`)
  await call('listSources', 'GET', '/oriel/v1/sources', { as: ADMIN_TOKEN })
  await call('endSession', 'DELETE', `/oriel/v1/sessions/${open}`)
  await call('revokeTokens', 'DELETE', `/oriel/v1/servers/${SERVER_ID}/console-auth-tokens`)
  const options = { type: 'serial', role: 'watch', label: 'shown in lists' }
  await call('createConsole', 'POST', `/oriel/v1/servers/${SERVER_ID}/consoles`, { body: options })
  await create('serial', 'serial')
  for (const path of ['/', '/healthz', '/readyz', '/openapi/latest.json', '/nothing']) {
    await call('other', 'GET', path)
  }
  await call('other', 'GET', '/v2.1/servers', { as: token })
  await call('other', 'GET', `/v2.1/os-console-auth-tokens/${token}`, { as: STRANGER_TOKEN })
  return answers
}

type Call = (route: AnyRoute, method: string, path: string, options?: CallOptions) => Promise<Pick<Answer, 'text'>>

/** Calls the routes of proxies that hold ports. */
async function callForPorts(call: Call, session_id: string): Promise<void> {
  const proxy = `/oriel/v1/proxies/${PROXY_ID}`
  const asProxy = (route: AnyRoute, method: string, path: string, body?: object) =>
    call(route, method, proxy + path, { as: SERVICE_TOKEN, ...(body && { body }) })
  await asProxy('groupProxy', 'PUT', '/group', { group: 'workers-1' })
  await asProxy('awaitSerialPorts', 'POST', '/serial-ports', {})
  await asProxy('confirmSerialPort', 'GET', `/serial-ports/${SERVER_ID}`)
  await asProxy('reportSerialLog', 'PUT', `/serial-ports/${SERVER_ID}/log`, { ask_id: 'ask-1', log: '' })
  await asProxy('awaitSharedConsoles', 'POST', '/shared-consoles', {})
  await asProxy('moveControl', 'POST', '/control', { session_id, from: null, to: session_id })
  const held = await asProxy('holdPort', 'POST', '/ports', { session_id })
  const { port } = JSON.parse(held.text) as { port: { hold_id: string } }
  await asProxy('showPort', 'GET', `/ports/${port.hold_id}`)
  await asProxy('releasePort', 'DELETE', `/ports/${port.hold_id}`)
  await asProxy('releaseSerialPorts', 'DELETE', '/serial-ports')
}

interface CallOptions {
  readonly as?: string
  readonly body?: object
}

/** Runs an API on `store`, calls every route, and searches for secrets. `dump` returns the store's whole content. */
async function expectNoSecrets(store: string, dump: () => Promise<string>): Promise<void> {
  const port = await freePort()
  const at = (vnc: number) => ({ host: '127.0.0.1', port: vnc })
  const consoles = {
    vnc: { ...at(5911), password: VNC_PASSWORD },
    spice: { ...at(5912), tls_port: 5913 },
    serial: at(5914),
  }
  const config = apiConfig(port, 6080, [{ id: SERVER_ID, name: 'web-1', consoles }])
  await using api = await startApp('api', merge(config, { tokens: { store } }))
  await listening(api)
  const answers = await callAll(`http://127.0.0.1:${port}`)
  const called = new Set(answers.map(({ route }) => route))
  expect(
    [...Object.keys(routes), ...Object.keys(extensionRoutes)].filter((each) => !called.has(each as AnyRoute)),
  ).toEqual([])

  const minted = answers.filter(({ token }) => token !== undefined)
  expect(minted.map(({ route }) => route)).toEqual([
    ...['getVncConsole', 'getSpiceConsole', 'getSerialConsole', 'createRemoteConsole', 'createRemoteConsole'],
    ...['createInvitation', 'createPageInvitation', 'createConsole', 'createRemoteConsole'],
  ])
  const password = new URL(store).password
  const consoleTokens = minted.map(({ token }) => token!)
  const secrets = [
    VNC_PASSWORD,
    ...apiTokens,
    ...consoleTokens,
    ...(password ? [password, decodeURIComponent(password)] : []),
  ]
  const digests = [...apiTokens, ...consoleTokens].map(sha256)
  for (const { route, status, text, token } of answers) {
    const found = [...secrets, ...digests].filter((secret) => secret !== token && text.includes(secret))
    const allowed = route === 'admitSession' ? [VNC_PASSWORD] : []
    expect({ route, status, found }).toEqual({ route, status: expect.any(Number), found: allowed })
  }

  const kept = await dump()
  const live = consoleTokens.at(-1)!
  for (const expected of ['alice', PROXY_ID, '192.0.2.7', sha256(live)]) expect(kept).toContain(expected)
  const inPieces = consoleTokens.map((token) => token.replaceAll('-', ''))
  expect([...secrets, ...inPieces].filter((secret) => kept.includes(secret))).toEqual([])

  const said = JSON.stringify(api.records) + api.stderr
  expect(said).toContain('session admitted')
  expect(secrets.filter((secret) => said.includes(secret))).toEqual([])
}

it('secrets at rest: the API on SQLite stores, logs and returns no credential', async () => {
  await using folder = await temporaryFolder()
  await expectNoSecrets(`sqlite:${join(folder.path, 'oriel.db')}`, async () => {
    const files = await readdir(folder.path)
    expect(files).toContain('oriel.db-wal')
    return (await Promise.all(files.map((file) => readFile(join(folder.path, file), 'latin1')))).join('')
  })
})

const servers: readonly (readonly ['postgres' | 'mariadb', () => Promise<DatabaseServer>, string])[] = [
  ['postgres', startPostgres, "select table_name as name from information_schema.tables where table_schema = 'public'"],
  ['mariadb', startMariadb, 'select table_name as name from information_schema.tables where table_schema = database()'],
]
for (const [part, startServer, tables] of servers) {
  const { skip, reason } = requires(part)
  it.skipIf(skip)(`secrets at rest: the API on ${part} stores, logs and returns no credential${reason}`, async () => {
    await using server = await startServer()
    const url = await server.createDatabase()
    await expectNoSecrets(url, async () => {
      const names = (await server.query(url, tables)).map(({ name }) => String(name))
      expect(names).toEqual(expect.arrayContaining(['console_auth_tokens', 'sessions', 'proxies', 'proxy_owners']))
      const rows = await Promise.all(names.map((name) => server.query(url, `select * from ${name}`)))
      return JSON.stringify(rows)
    })
  })
}
