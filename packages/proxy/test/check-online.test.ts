/** `--check-config --online` of the programs, as an operator runs it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cloud, PASSWORD, signInAt, startCloud } from './authority/cloud.ts'

type App = 'api' | 'proxy' | 'oriel'
const programOf = (app: App) => fileURLToPath(new URL(`../../../apps/${app}/src/main.ts`, import.meta.url))

const parts = new AsyncDisposableStack()
let cloud: Cloud
let folder: string
/** Refuses every sign-in. */
let refusing: string
beforeAll(async () => {
  cloud = parts.use(await startCloud())
  folder = parts.use(await temporaryFolder()).path
  const server = createServer((_, response) => void response.writeHead(401).end('{}')).listen(0, '127.0.0.1')
  parts.defer(() => void server.close())
  await once(server, 'listening')
  refusing = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => parts.disposeAsync())

async function check(app: App, toml: string, ...more: string[]) {
  const file = join(folder, `${app}.toml`)
  await writeFile(file, toml)
  const args = ['--conditions=@oriel/source', programOf(app), '--config', file, '--check-config', ...more]
  const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: process.env.PATH }, stdio: 'pipe' })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, faults: stderr.trimEnd().split('\n').filter(Boolean) }
}

const listener = '[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]\n'
const proxyToml = (authority: string) => `[authority]\n${authority}\n${listener}`
const OK = { code: 0, stdout: expect.stringContaining('config ok\n'), faults: [] }

describe('oriel-proxy --check-config', () => {
  const wrongPassword = () =>
    `endpoint = "${cloud.origin}/v2.1"\n${signInAt(cloud.origin).replace(PASSWORD, 'another')}`

  it('contacts no service without --online', async () => {
    const asked = cloud.asked.length
    expect(await check('proxy', proxyToml(wrongPassword()))).toEqual(OK)
    expect(cloud.asked).toHaveLength(asked)
  })

  it('--online authenticates and looks up a token', async () => {
    const toml = proxyToml(`endpoint = "${cloud.origin}/v2.1"\n${signInAt(cloud.origin)}`)
    expect(await check('proxy', toml, '--online')).toEqual(OK)
    expect(cloud.asked.at(-1)).toMatch('/v2.1/os-console-auth-tokens/')
  })

  it('--online reports the key of a wrong password, and exits with 2', async () => {
    const { code, faults } = await check('proxy', proxyToml(wrongPassword()), '--online')
    expect(code).toBe(2)
    expect(faults).toEqual([expect.stringMatching(/^authority\.auth\.password: Keystone refuses this credential/)])
  })

  it.each([
    ['nova', 'Nova', (token: string) => ({ console: { instance_uuid: token, host: '192.0.2.1', port: 5900 } })],
    ['oriel', 'The API', () => ({ session: { id: 'x', console: {} } })],
  ])(
    '--online reports an endpoint of kind %s that answers 200 for a token that cannot exist',
    async (kind, service, body) => {
      const versions = { versions: [{ id: 'v2.1', status: 'CURRENT', version: '2.99', min_version: '2.1', links: [] }] }
      const server = createServer(({ url, headers }, response) => {
        const version = headers['openstack-api-version']
        if (version !== undefined) response.setHeader('OpenStack-API-Version', version)
        const isRoot = !/os-console|sessions/.test(url!)
        const answer = isRoot
          ? { ...versions, version: versions.versions[0] }
          : body('5d0ba0a5-9f3d-4a2c-9c2b-6f1f0f5f7d11')
        response.end(JSON.stringify(answer))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2.1`
      const toml = proxyToml(`kind = "${kind}"\nendpoint = "${endpoint}"\nauth = { method = "token", token = "t" }`)
      const { code, faults } = await check('proxy', toml, '--online')
      server.closeAllConnections()
      server.close()
      expect(code).toBe(2)
      expect(faults).toEqual([expect.stringMatching(`^authority\\.endpoint: ${service} does not answer there`)])
    },
  )

  it('--online reports the key of a token that oriel-api refuses, and sends no heartbeat', async () => {
    const toml = proxyToml(`kind = "oriel"\nendpoint = "${refusing}"\nauth = { method = "token", token = "t" }`)
    const { code, faults } = await check('proxy', toml, '--online')
    expect(code).toBe(2)
    expect(faults).toEqual(['authority.auth.token: The API refuses this credential'])
  })
})

const keystoneAt = (origin: string) =>
  `[auth]\nmethod = "keystone"\n[auth.keystone]\nauth_url = "${origin}/v3"\nusername = "oriel"\npassword = "p"\nproject_name = "s"\n`

describe('oriel-api --check-config --online', () => {
  it('connects to the store and leaves no file behind', async () => {
    const toml = 'auth.method = "none"\ntokens.store = "sqlite:new.db"\n'
    expect(await check('api', toml, '--online')).toEqual(OK)
    expect(existsSync(join(folder, 'new.db'))).toBe(false)
  })

  it('reports every key: of an unavailable store, and of a credential that Keystone refuses', async () => {
    const toml = `tokens.store = "postgres://u:secret-of-u@127.0.0.1:1/x"\n${keystoneAt(refusing)}`
    const { code, faults } = await check('api', toml, '--online')
    expect(code).toBe(2)
    expect(faults).toEqual([
      expect.stringMatching(/^tokens\.store: cannot use PostgreSQL database x at 127\.0\.0\.1:1 /),
      expect.stringMatching(/^auth\.keystone\.password: Keystone refuses our own credential/),
    ])
    expect(faults.join()).not.toContain('secret-of-u')
  })

  it('reports each libvirt connection that does not answer', async () => {
    const uris = ['one', 'two'].map((name) => `qemu:///session?socket=${join(folder, name)}`)
    const source = (uri: unknown) => `[[sources]]\nkind = "libvirt"\nproject_id = "p"\nuri = ${JSON.stringify(uri)}\n`
    const toml = `auth.method = "none"\ntokens.store = "sqlite::memory:"\n${source(uris[0])}${source(uris)}`
    const { code, faults } = await check('api', toml, '--online')
    expect(code).toBe(2)
    expect(faults.map((fault) => fault.split(' does not answer, correct the URI or the cause: virsh ')[0])).toEqual([
      `sources[0].uri: ${uris[0]}`,
      `sources[1].uri[0]: ${uris[0]}`,
      `sources[1].uri[1]: ${uris[1]}`,
    ])
  })

  it('reports the key of Keystone, or of the issuer of JWTs, if nothing answers there', async () => {
    const store = 'tokens.store = "sqlite::memory:"\n'
    const keystone = await check('api', `${store}${keystoneAt('http://127.0.0.1:1')}`, '--online')
    expect(keystone.faults).toEqual([expect.stringMatching(/^auth\.keystone\.auth_url: /)])
    const jwt = `${store}[auth]\nmethod = "jwt"\n[auth.jwt]\nissuer = "http://127.0.0.1:1"\naudience = "oriel"\n`
    expect((await check('api', jwt, '--online')).faults).toEqual([expect.stringMatching(/^auth\.jwt\.issuer: /)])
  })
})

it('oriel --check-config --online reports keys with their names in its single file', async () => {
  const api = 'auth.method = "none"\ntokens.store = "sqlite:no-such-folder/x.db"\n'
  const proxy = `[proxy.authority]\nkind = "oriel"\nendpoint = "${refusing}"\nauth = { method = "token", token = "t" }\n`
  const { code, faults } = await check(
    'oriel',
    `[api]\n${api}${proxy}[[proxy.listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]\n`,
    '--online',
  )
  expect(code).toBe(2)
  expect(faults.map((fault) => fault.split(': ')[0])).toEqual(['api.tokens.store', 'proxy.authority.auth.token'])
})
