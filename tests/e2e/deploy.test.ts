/** The programs, HAProxy and systemd accept the files in deploy/. */
import { once } from 'node:events'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { proxyConfig as proxySchema } from '@oriel/proxy'
import { loadConfig } from '@oriel/runtime'
import { freePort, requires, startProgram, temporaryFolder } from '@oriel/testkit'
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

describe('the units in deploy/systemd/', () => {
  const names = ['api', 'proxy'] as const

  it.each(names)('oriel-%s.service starts its program, and reloads it with SIGHUP', async (name) => {
    const unit = await service(name)
    expect(unit.ExecStart).toBe(`/usr/bin/node /opt/oriel/apps/${name}/dist/main.js --config /etc/oriel/${name}.toml`)
    expect(unit.ExecReload).toBe('/bin/kill -HUP $MAINPID')
    expect(unit).toMatchObject({ DynamicUser: 'yes', RestartPreventExitStatus: '2' })
  })

  it('have different state directories, because systemd would give a shared one to the last started unit', async () => {
    const [api, proxy] = await Promise.all(names.map(service))
    const { tokens } = parse(await readFile(deployed('api.toml'), 'utf8')) as { tokens: { store: string } }
    expect(tokens.store).toMatch(`sqlite:/var/lib/${api!.StateDirectory}/`)
    expect(proxy).not.toHaveProperty('StateDirectory')
  })

  it('allow the proxy two file descriptors for each session, and time to drain', async () => {
    const unit = await service('proxy')
    const { sessions } = loadConfig(proxySchema, { toml: await readFile(deployed('proxy.toml'), 'utf8') })
    expect(Number(unit.LimitNOFILE)).toBeGreaterThan(3 * sessions.max_total)
    expect(Number(unit.TimeoutStopSec)).toBeGreaterThanOrEqual(sessions.drain_seconds + 15)
  })
})

/** Reads the keys of a unit's [Service] section. */
async function service(name: string): Promise<Record<string, string>> {
  const unit = await readFile(deployed(`systemd/oriel-${name}.service`), 'utf8')
  const table = unit.split(/^\[Service\]$/m)[1]!.split(/^\[/m)[0]!
  return Object.fromEntries([...table.matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]))
}
