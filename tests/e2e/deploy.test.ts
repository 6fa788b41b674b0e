/** The programs, HAProxy and systemd accept the files in deploy/. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { proxyConfig as proxySchema } from '@oriel/proxy'
import { loadConfig } from '@oriel/runtime'
import { freePort, requires, startProgram, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { parse } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { programFile, proxyConfig, startApp } from './parts/oriel.ts'

const deployed = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url))

describe('the files in deploy/', () => {
  it.each([
    ['api', 'api.toml'],
    ['proxy', 'proxy.toml'],
    ['proxy', 'proxy-nova.toml'],
    ['proxy', 'reverse-proxies/proxy.toml'],
    ['oriel', 'oriel.toml'],
    ['api', 'libvirt-hosts/api.toml'],
    ['proxy', 'libvirt-hosts/proxy.toml'],
  ] as const)('oriel-%s accepts deploy/%s', async (app, file) => {
    await using program = await startProgram({
      file: programFile(app),
      args: ['--config', deployed(file), '--check-config'],
    })
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect(program.otherLines).toEqual(['config ok'])
  })

  it.each(['api', 'proxy'] as const)(
    'oriel-%s accepts its file of compose.yaml, with the secrets of make-secrets',
    async (app) => {
      await using folder = await temporaryFolder()
      await cp(deployed('compose'), folder.path, { recursive: true, filter: (file) => !file.endsWith('/secrets') })
      await using secrets = await startProgram({ command: join(folder.path, 'make-secrets') })
      expect(await secrets.exited).toEqual({ code: 0, signal: null })
      const file = join(folder.path, `${app}.toml`)
      await writeFile(file, (await readFile(file, 'utf8')).replaceAll('/run/secrets', join(folder.path, 'secrets')))
      await using program = await startProgram({ file: programFile(app), args: ['--config', file, '--check-config'] })
      expect(await program.exited).toEqual({ code: 0, signal: null })
      expect([program.otherLines, program.stderr]).toEqual([['config ok'], ''])
    },
  )

  it('compose.yaml gives each program the secrets that its file names', async () => {
    const { services } = parseYaml(await readFile(deployed('compose/compose.yaml'), 'utf8'), { merge: true })
    for (const app of ['api', 'proxy']) {
      const file = (await readFile(deployed(`compose/${app}.toml`), 'utf8')).matchAll(/"\/run\/secrets\/([\w-]+)"/g)
      const named = [...file].map(([, name]) => name)
      for (const replica of [1, 2]) {
        const service = services[`${app}-${replica}`]
        expect(service.secrets.toSorted()).toEqual(named.toSorted())
        expect(service.volumes).toEqual([`./${app}.toml:/etc/oriel/${app}.toml:ro`])
        expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
      }
    }
  })

  const { skip, reason } = requires('haproxy')
  it.skipIf(skip).each(['haproxy.cfg', 'haproxy-tcp.cfg', 'compose/haproxy.cfg'])(
    `HAProxy accepts %s${reason}`,
    async (file) => {
      await using program = await startProgram({ command: 'haproxy', args: ['-c', '-f', deployed(file)] })
      expect(await program.exited).toEqual({ code: 0, signal: null })
    },
  )

  it('a proxy answers the health check of haproxy.cfg, for every console type', async () => {
    const backend = /\nbackend proxies\n([\s\S]*?)(?=\n\S)/.exec(await readFile(deployed('haproxy.cfg'), 'utf8'))![1]!
    const [, path] = /^ {2}option httpchk GET (\S+)$/m.exec(backend)!
    const sets = [['novnc'], ['serial'], ['webmks'], ['spice-html5'], ['spice-direct'], ['serial', 'spice-direct']]
    const listen = await Promise.all(
      sets.map(async (consoles) => ({ address: `127.0.0.1:${await freePort()}`, consoles })),
    )
    const spice = { public_host: '127.0.0.1', listen: '127.0.0.1:0' }
    const hypervisor = { spice: { allow_plaintext: true } }
    await using proxy = await startApp('proxy', { ...proxyConfig(1, 0), listen, spice, hypervisor })
    for (const { address, consoles } of listen) {
      await proxy.waitForLog((record) => record.msg === 'listening' && record.address === address)
      expect([consoles, await statusLine(address, path!)]).toEqual([consoles, 'HTTP/1.1 200 OK'])
    }
  })
})

/** Sends a health check like HAProxy's, HTTP/1.0 without a Host header, and returns the status line. */
async function statusLine(address: string, path: string): Promise<string> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  await once(socket, 'connect')
  socket.write(`GET ${path} HTTP/1.0\r\n\r\n`)
  return (await text(socket)).split('\r\n')[0]!
}

const units = { api: 'oriel-api', proxy: 'oriel-proxy', oriel: 'oriel' } as const
type App = keyof typeof units
const apps = Object.keys(units) as App[]

describe('the units in deploy/systemd/', () => {
  it.each(apps)('that of %s starts its program, waits until it is ready, and reloads it with SIGHUP', async (app) => {
    const unit = await service(app)
    expect(unit.ExecStart).toBe(`/usr/bin/node /opt/oriel/apps/${app}/dist/main.js --config /etc/oriel/${app}.toml`)
    expect(unit.ExecReload).toBe('/bin/kill -HUP $MAINPID')
    expect(unit).toMatchObject({ DynamicUser: 'yes', RestartPreventExitStatus: '2' })
    expect(unit).toMatchObject({ Type: 'notify', NotifyAccess: 'all' })
  })

  it('have a state directory for SQLite, which no two units use at the same time', async () => {
    for (const app of ['api', 'oriel'] as const) {
      const config = parse(await readFile(deployed(`${app}.toml`), 'utf8')) as unknown as { api?: Stored } & Stored
      const store = (config.api ?? config).tokens.store
      expect(store).toMatch(`sqlite:/var/lib/${(await service(app)).StateDirectory}/`)
    }
    expect(await service('proxy')).not.toHaveProperty('StateDirectory')
    const oriel = await readFile(unitFile('oriel'), 'utf8')
    expect(oriel).toMatch(/^Conflicts=oriel-api\.service oriel-proxy\.service$/m)
    expect(oriel).toMatch(/^After=.* oriel-api\.service oriel-proxy\.service$/m)
  })

  it('allow a proxy two file descriptors for each session, and time to drain', async () => {
    const { sessions } = loadConfig(proxySchema, { toml: await readFile(deployed('proxy.toml'), 'utf8') })
    for (const app of ['proxy', 'oriel'] as const) {
      const unit = await service(app)
      expect(Number(unit.LimitNOFILE)).toBeGreaterThan(3 * sessions.max_total)
      expect(Number(unit.TimeoutStopSec)).toBeGreaterThanOrEqual(sessions.drain_seconds + 15)
    }
  })

  const { skip, reason } = requires('systemd')
  describe.skipIf(skip)(`in the eyes of systemd-analyze${reason}`, () => {
    it.each(apps)('that of %s is valid with its drop-ins', async (app) => {
      await using folder = await temporaryFolder()
      await cp(deployed('systemd'), folder.path, { recursive: true })
      // The machine of the tests has neither of the two programs.
      const file = join(folder.path, `${units[app]}.service`)
      await writeFile(file, (await readFile(file, 'utf8')).replace(/^(ExecStart|ExecReload)=.*$/gm, '$1=/bin/true'))
      expect(await complaints(file)).toEqual([])
    })

    it('that of a misspelt directive is not valid', async () => {
      await using folder = await temporaryFolder()
      const file = join(folder.path, 'wrong.service')
      await writeFile(file, '[Service]\nExecStart=/bin/true\nTyp=notify\n')
      expect(await complaints(file)).toEqual([expect.stringContaining("Unknown key 'Typ' in section [Service]")])
    })

    it.each(apps)('that of %s has an exposure of 2 at most', async (app) => {
      const file = unitFile(app)
      expect(await analyze('security', '--offline=true', '--threshold=20', file)).toMatchObject({ code: 0 })
      expect(await analyze('security', '--offline=true', '--threshold=10', file)).toMatchObject({ code: 1 })
    })
  })
})

describe('the drop-ins in deploy/systemd/', () => {
  const secrets = ['tls', 'tls', 'tls', 'token', 'password', 'resume-key', 'store', 'keystone-password']
  it.each([
    ['api', 'tls', 'api.toml'],
    ['proxy', 'tls', 'proxy.toml'],
    ['oriel', 'tls', 'oriel.toml'],
    ['proxy', 'token', 'proxy.toml'],
    ['proxy', 'password', 'proxy-nova.toml'],
    ['proxy', 'resume-key', 'proxy.toml'],
    ['api', 'store', 'api.toml'],
    ['api', 'keystone-password', 'libvirt-hosts/api.toml'],
  ] as const)('of %s: %s.conf gives %s its secrets as credentials', async (app, name, config) => {
    await using pki = await temporaryPki()
    const unit = await readFile(deployed(`systemd/${units[app]}.service.d/${name}.conf`), 'utf8')
    const files = [...unit.matchAll(/^LoadCredential=([^:]+):\/etc\/oriel\/\S+$/gm)].map(([, file]) => file!)
    const settings = [...unit.matchAll(/^Environment=(\w+)=%d\/(\S+)$/gm)].map(
      ([, key, file]) => [key!, file!] as const,
    )
    expect(settings.map(([, file]) => file)).toEqual(files)
    for (const file of files) await writeFile(join(pki.path, file), await credential(file, pki.path))
    await using program = await startProgram({
      file: programFile(app),
      args: ['--config', deployed(config), '--check-config'],
      env: Object.fromEntries(settings.map(([key, file]) => [key, join(pki.path, file)])),
    })
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect(program.stderr.replace(/^warning: public_url: .* begins with http:.*\n/, '')).toBe('')
  })

  it('have a test each', async () => {
    const files = await Promise.all(apps.map((app) => readdir(deployed(`systemd/${units[app]}.service.d`))))
    expect(files.flat().sort()).toEqual(secrets.map((name) => `${name}.conf`).sort())
  })
})

interface Stored {
  readonly tokens: { readonly store: string }
}

/** The content of a credential with this name. */
async function credential(name: string, pki: string): Promise<string> {
  if (name === 'cert.pem' || name === 'key.pem') return readFile(join(pki, `server-${name}`), 'utf8')
  return { store: 'sqlite::memory:', 'resume.key': randomBytes(32).toString('base64') }[name] ?? 'a-secret-of-the-tests'
}

/** What systemd says about a unit and its drop-ins. It only warns of unknown keys, and of other units of this machine. */
async function complaints(file: string): Promise<string[]> {
  const { code, output } = await analyze('verify', '--man=no', file)
  const own = output.split('\n').filter((line) => line.includes(dirname(file)) || line.startsWith(basename(file)))
  return code === 0 ? own : [...own, `exit code ${code}`]
}

async function analyze(...args: string[]) {
  await using it = await startProgram({ command: 'systemd-analyze', args })
  return { code: (await it.exited).code, output: `${it.otherLines.join('\n')}${it.stderr}` }
}

const unitFile = (app: App) => deployed(`systemd/${units[app]}.service`)

/** Reads the keys of a unit's [Service] section. */
async function service(app: App): Promise<Record<string, string>> {
  const table = (await readFile(unitFile(app), 'utf8')).split(/^\[Service\]$/m)[1]!.split(/^\[/m)[0]!
  return Object.fromEntries([...table.matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]))
}
