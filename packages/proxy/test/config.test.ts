import { type ConfigError, type ConfigFault, ListenError, loadConfig, silentLogger } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { timingOf } from '../src/config.ts'
import { routeOf } from '../src/consoles/route.ts'
import { proxyConfig, refineProxyConfig, startProxy, stopDeadlineMs } from '../src/index.ts'
import { capture, configOf, running } from './fixture.ts'

const least = (more = '', consoles = '["novnc"]', authority = '') => `
  [authority]
  endpoint = "http://127.0.0.1:8774/v2.1"
  ${authority}
  [[listen]]
  address = "127.0.0.1:6080"
  consoles = ${consoles}
  ${more}`
const load = (toml: string) => loadConfig(proxyConfig, { toml, refine: refineProxyConfig })
const faults = (toml: string): readonly ConfigFault[] => {
  try {
    load(toml)
    return []
  } catch (error) {
    return (error as ConfigError).faults
  }
}

const vencrypt = (more: string) => `[hypervisor]\nvnc = { auth_schemes = ["vencrypt", "none"], ${more} }`

describe('proxy.toml', () => {
  it('has the documented defaults', () => {
    const config = load(least())
    expect(config).toMatchObject({
      authority: { kind: 'nova', timeout_ms: 5000, auth: { method: 'none' } },
      origin: { allowed: [], trusted_proxies: [] },
      hypervisor: { dial_timeout_ms: 5000, handshake_timeout_ms: 10_000 },
      sessions: {
        max_total: 10_000,
        max_per_token: 32,
        max_per_instance: 16,
        max_per_client: 64,
        idle_timeout_seconds: 0,
        max_seconds: 0,
        enforce_token_expiry: false,
        ping_interval_seconds: 25,
        drain_seconds: 30,
        workers: 1,
      },
    })
    expect(config.admin).toBeUndefined()
    expect(timingOf(config)).toMatchObject({
      pingIntervalMs: 25_000,
      drainMs: 30_000,
      idleTimeoutMs: 0,
      maxSessionMs: 0,
    })
    expect(load(least('[admin]')).admin).toEqual({ listen: '127.0.0.1:6079' })
  })

  it.each([
    ['origin.allowed[1]', least('[origin]\nallowed = ["h.example", "https://h/x"]')],
    ['origin.trusted_proxies[0]', least('[origin]\ntrusted_proxies = ["proxy.example"]')],
    ['listen[0].tls.cert', least('[listen.tls]\ncert = "/etc/cert.pem"\nkey = "-----BEGIN PRIVATE KEY-----"')],
    ['sessions.max_totl', least('[sessions]\nmax_totl = 1')],
    ['authority.endpoint', least().replace('http://', 'ftp://')],
    ['listen[0].consoles[0]', least('', '["vnc"]')],
    ['spice', least('', '["spice-direct"]')],
    ['spice.tls_listen', least('[spice]\ntls_listen = "127.0.0.1:5901"')],
    ['spice.tls.cert', least('[spice.tls]\ncert = "/etc/cert.pem"\nkey = "-----BEGIN PRIVATE KEY-----"')],
    ['spice.hidden_channels[1]', least('[spice]\nhidden_channels = ["usbredir", "main"]')],
    ['spice.migration_hosts[0]', least('[spice]\nmigration_hosts = ["10.0.0.0/33"]')],
    ['hypervisor.vnc.ca', least('[hypervisor]\nvnc = { ca = "-----BEGIN x" }')],
    ['hypervisor.vnc.ca', least(vencrypt('ca = "-----BEGIN CERTIFICATE-----\\nx\\n-----END CERTIFICATE-----"'))],
    ['hypervisor.vnc.cert', least(vencrypt('key = "-----BEGIN PRIVATE KEY-----"'))],
    ['hypervisor.vnc.password', least('[hypervisor]\nvnc = { auth_schemes = ["vnc_auth"] }')],
    ['hypervisor.vnc.password', least('[hypervisor]\nvnc = { password = "x" }')],
    ['hypervisor.unix_sockets', least('[hypervisor]\nunix_sockets = ["/run/oriel/*.sock"]')],
    ['consoles.serial.standing', least('[consoles.serial]\nstanding = true')],
    [
      'consoles.serial.standing',
      least('[consoles.serial]\nstanding = true\nreplay_bytes = 0', undefined, 'kind = "oriel"'),
    ],
    ['hypervisor.unix_sockets[0]', least('[hypervisor]\nunix_sockets = ["run/*.sock"]')],
    ['hypervisor.vnc.key', least(vencrypt('cert = "-----BEGIN CERTIFICATE-----"'))],
    ['spice.proxy_protocol', least('[spice]\nproxy_protocol = true')],
    ['hypervisor.spice.ca', least('[hypervisor.spice]\nca = "/etc/ca.pem"')],
    ['listen[0].consoles', least('', '[]')],
    ['admin.token_sha256', least('[admin]\nlisten = "0.0.0.0:6079"')],
    ['listen[0].proxy_protocol', least('proxy_protocol = true')],
    ['sessions.workers', least('[spice]\npublic_host = "h"\n[sessions]\nworkers = 2', '["spice-direct"]')],
    ['admin.token_sha256', least('[admin]\ntoken_sha256 = "secret"')],
    ['listen', '[authority]\nendpoint = "http://h"\nlisten = []'.replace('listen = []', '')],
    ['sessions.idle_timeout_seconds', least('[sessions]\nidle_timeout_seconds = 31536000')],
    ['sessions.max_seconds', least('[sessions]\nmax_seconds = 2147484')],
    ['sessions.drain_seconds', least('[sessions]\ndrain_seconds = 2147484')],
  ])('refuses a wrong %s', (path, toml) => {
    expect(faults(toml).map((fault) => fault.path)).toContain(path)
  })

  it.each([
    [
      'origin.allowed[0]',
      '[origin]\nallowed = ["https://portal.example/"]',
      'drop the slash: "https://portal.example"',
    ],
    ['origin.allowed[0]', '[origin]\nallowed = ["https://portal.example/x"]', 'alone: "https://portal.example"'],
    ['origin.allowed[0]', '[origin]\nallowed = ["portal.example/"]', 'give the host name alone: "portal.example"'],
    ['origin.trusted_proxies[0]', '[origin]\ntrusted_proxies = ["10.0.0.0/33"]', 'at most /32'],
    ['spice.migration_hosts[0]', '[spice]\nmigration_hosts = ["10.0.0.0/33"]', 'at most /32'],
    ['spice.migration_hosts[0]', '[spice]\nmigration_hosts = ["a b"]', 'compute-1.example'],
    ['spice.public_host', '[spice]\npublic_host = "console.example:5900"', 'alone: "console.example"'],
    ['spice.public_host', '[spice]\npublic_host = "https://console.example"', 'alone: "console.example"'],
    ['hypervisor.hosts."10.0.0.5:1"', '[hypervisor.hosts."10.0.0.5:1"]\nname = "h"', 'alone: "10.0.0.5"'],
    ['hypervisor.hosts."10.0.0.5".name', '[hypervisor.hosts."10.0.0.5"]\nname = "a..b"', 'an empty part'],
  ])('has a remedy in the fault of %s: %s', (path, toml, message) => {
    expect(faults(least(toml))).toEqual([{ path, message: expect.stringContaining(message) }])
  })

  it('needs hypervisor.vnc.password for vnc_auth only where no authority may name passwords', () => {
    const vncAuth = '[hypervisor]\nvnc = { auth_schemes = ["vnc_auth"] }'
    expect(faults(least(vncAuth)).map(({ path }) => path)).toEqual(['hypervisor.vnc.password'])
    expect(
      load(least(vncAuth).replace('[authority]', '[authority]\nkind = "oriel"')).hypervisor.vnc.password,
    ).toBeUndefined()
  })

  it('removes the brackets from IPv6 addresses', () => {
    const { spice, hypervisor } = load(
      least('[spice]\npublic_host = "[::1]"\nmigration_hosts = ["[::1]"]\n[hypervisor.hosts."[FD00::5]"]\nname = "h"'),
    )
    expect(spice).toMatchObject({ public_host: '::1', migration_hosts: ['::1'] })
    expect(hypervisor.hosts).toEqual({ 'fd00::5': { name: 'h' } })
  })

  it('says which authority standing serial ports need', () => {
    const [fault] = faults(least('[consoles.serial]\nstanding = true'))
    expect(fault?.message).toBe('needs authority.kind "oriel", since Nova does not say which servers run: remove it')
    expect(
      load(least('[consoles.serial]\nstanding = true', undefined, 'kind = "oriel"')).consoles.serial,
    ).toMatchObject({
      ...{ standing: true, standing_ports: 1000 },
    })
  })

  it('warns about a proxy behind balancers that sends no pings', () => {
    const warningsOf = (toml: string) => {
      const warnings: ConfigFault[] = []
      loadConfig(proxyConfig, { toml, refine: refineProxyConfig, onWarning: (warning) => warnings.push(warning) })
      return warnings.map(({ path, message }) => `${path}: ${message}`)
    }
    const behind = (seconds: number) =>
      least(`[origin]\ntrusted_proxies = ["10.0.0.1"]\n[sessions]\nping_interval_seconds = ${seconds}`)
    expect(warningsOf(behind(0))).toEqual([expect.stringMatching(/^sessions\.ping_interval_seconds: 0 sends no pings/)])
    expect(warningsOf(behind(25))).toEqual([])
    expect(warningsOf(least('[sessions]\nping_interval_seconds = 0'))).toEqual([])
  })

  it('refuses times above the maximum of a timer, and reports the maximum', () => {
    const [fault] = faults(least('[sessions]\nping_interval_seconds = 2147484'))
    expect(fault).toMatchObject({ path: 'sessions.ping_interval_seconds', message: expect.stringContaining('2147483') })
    const longest = load(least('[sessions]\ndrain_seconds = 2147483'))
    expect(stopDeadlineMs(longest)).toBeLessThan(2 ** 31)
  })

  it.each([
    ['listen[1].address', least('[[listen]]\naddress = "127.0.0.1:6080"\nconsoles = ["serial"]')],
    ['admin.listen', least('[admin]\nlisten = "127.0.0.1:6080"')],
    [
      'spice.listen',
      least('[spice]\npublic_host = "h"\nlisten = "127.0.0.1:6080"\n[hypervisor.spice]', '["spice-direct"]'),
    ],
  ])('refuses a %s that another listener has, and reports both keys', (path, toml) => {
    const message = '127.0.0.1:6080 is taken by listen[0].address, give each its own port'
    expect(faults(toml)).toEqual([{ path, message }])
  })
})

describe('startProxy', () => {
  it('starts the configured listeners and returns their addresses', async () => {
    await using proxy = await startProxy(configOf('http://127.0.0.1:1/v2.1', '[admin]\nlisten = "127.0.0.1:0"'), {
      log: silentLogger(),
    })
    expect(proxy.listeners).toEqual([{ address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), consoles: ['novnc'] }])
    expect((await fetch(`http://${proxy.admin}/healthz`)).status).toBe(200)
  })

  it('reports the port that is in use, and closes all others', async () => {
    await using taken = await running()
    const first = '[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]'
    const config = configOf(taken.nova.url, `[[listen]]\naddress = "${taken.address}"\nconsoles = ["novnc"]\n${first}`)
    const log = capture()
    const starting = startProxy(config, { log: log.logger })
    await expect(starting).rejects.toThrow(ListenError)
    await expect(starting).rejects.toThrow(`cannot listen on ${taken.address}`)
    const [opened] = log.records('listening')
    await expect(fetch(`http://${opened!.address}/`)).rejects.toThrow('fetch failed')
  })
})

it.each([
  [['novnc'], '/?token=x', { type: 'novnc', path: '/' }],
  [['novnc'], '/novnc/x', { type: 'novnc', path: '/novnc/x' }],
  [['novnc', 'serial'], '/novnc/vnc.html?x=/serial/', { type: 'novnc', path: '/vnc.html' }],
  [['novnc', 'serial'], '/serial/', { type: 'serial', path: '/' }],
  [['novnc', 'serial'], '/', undefined],
  [['novnc', 'serial'], '/novnc', undefined],
  [['novnc', 'serial'], '/novncx/', undefined],
] as const)('a listener for %j takes %s as %j', (consoles, target, route) => {
  expect(routeOf(consoles as Parameters<typeof routeOf>[0], target)).toEqual(route)
})
