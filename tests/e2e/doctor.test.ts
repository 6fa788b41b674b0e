/** `oriel doctor` with real programs behind a real HAProxy, which is healthy or broken in one way. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  freePort,
  type RunningProgram,
  requires,
  type ScriptedServer,
  scriptedServer,
  temporaryPki,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, startCli } from './parts/cli.ts'
import { startHaproxy } from './parts/haproxy.ts'
import { MEMBER_TOKEN, type Pair, startPair } from './parts/oriel.ts'
import { servePicture } from './parts/rfb.ts'

const [WEB, DOWN] = ['52b2e44e-e561-464c-88f3-2fc6a1ecea21', '52b2e44e-e561-464c-88f3-2fc6a1ecea22'] as const
const { skip, reason } = requires('haproxy')

describe.skipIf(skip)(`oriel doctor behind HAProxy${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer
  let oriel: Pair
  let publicPort: number
  let pem: string
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(servePicture))
    publicPort = await freePort()
    const pki = parts.use(await temporaryPki())
    const file = (name: string) => join(pki.path, name)
    pem = file('haproxy.pem')
    const both = await Promise.all(['server-cert.pem', 'server-key.pem'].map((name) => readFile(file(name), 'utf8')))
    await writeFile(pem, both.join(''))
    oriel = parts.use(await startOriel(hypervisor, publicPort))
    env = {
      ORIEL_ENDPOINT: `http://127.0.0.1:${oriel.apiPort}/v2.1`,
      ...{ ORIEL_TOKEN: MEMBER_TOKEN, OS_CACERT: file('ca-cert.pem') },
    }
  })
  afterAll(() => parts.disposeAsync())

  /** Runs the command while HAProxy has these lines. */
  async function doctor(lines: Partial<HaproxyLines>, ...args: string[]) {
    await using _ = await balancer(lines)
    const { code, stdout } = await runCli(['doctor', 'web-1', '--json', ...args], { env })
    const { checks } = JSON.parse(stdout) as { checks: Check[] }
    return { code, checks, failed: checks.filter(({ status }) => status === 'failed') }
  }

  const opened = () => oriel.proxy.records.filter(({ msg }) => msg === 'session opened')
  /** Resolves once the proxy has ended so many sessions, the last of which its client closed. */
  async function ended(count: number) {
    const all = () => oriel.proxy.records.filter(({ msg }) => msg === 'session ended')
    await oriel.proxy.waitForLog((record) => record === all()[count - 1])
    expect(all().at(-1)!.reason).toBe('client_closed')
  }

  const balancer = (lines: Partial<HaproxyLines>): Promise<RunningProgram> =>
    startHaproxy(haproxyConfig(`127.0.0.1:${publicPort} ssl crt ${pem}`, oriel.proxyPort, lines), publicPort)

  it('passes every check of a healthy set-up, and leaves only ended sessions with its label', async () => {
    const { code, checks } = await doctor({})
    expect(checks.filter(({ status }) => status !== 'ok' && status !== 'skipped')).toEqual([])
    expect(checks.find(({ name }) => name === 'novnc network')!.detail).toMatch(/its certificate is valid until \d{4}-/)
    expect(checks.find(({ name }) => name === 'novnc console')!.detail).toBe('the first picture has 64×48 pixels')
    expect(code).toBe(0)
    const { sessions } = await oriel.client.oriel.listSessions()
    expect(sessions).toMatchObject([{ label: 'oriel doctor', role: 'watch', server_id: WEB }])
    await ended(1)
  })

  it.each([
    [
      'a stripped Upgrade',
      { request: 'http-request del-header Upgrade' },
      'novnc websocket',
      /answers 200 .*Upgrade header is lost/,
      /proxy_set_header Upgrade/,
    ],
    [
      'a rewritten Host',
      { request: 'http-request set-header Host proxies.internal' },
      'novnc origin',
      /\(foreign_origin\)/,
      /base_url = "https:\/\/127\.0\.0\.1"/,
    ],
    ['a wrong X-Forwarded-Proto', { proto: 'http' }, 'novnc origin', /\(foreign_origin\)/, /X-Forwarded-Proto/],
    [
      'a prefix that is added',
      { request: 'http-request set-path /consoles%[path]' },
      'novnc page',
      /oriel-proxy at \S+ has no page at/,
      /its prefix \/novnc\//,
    ],
    [
      'a dropped query',
      { request: 'http-request set-query a=b' },
      'novnc websocket',
      /\(missing_token\)/,
      /query of the address/,
    ],
    [
      'a path that is refused',
      { request: 'http-request deny deny_status 404' },
      'novnc page',
      /not by a console proxy/,
      /Route \/vnc_lite\.html/,
    ],
    [
      'a backend that is down',
      { server: 'server one 127.0.0.1:1' },
      'novnc page',
      /answers 503: no console proxy/,
      /\/readyz/,
    ],
    ['a short timeout', { tunnel: '500ms' }, 'novnc idle', /cut after \d+ s/, /timeout tunnel/],
  ] as const satisfies [string, Partial<HaproxyLines>, string, RegExp, RegExp][])(
    'names %s',
    async (_, lines, name, detail, remedy) => {
      const { code, failed } = await doctor(lines, ...('tunnel' in lines ? ['--idle', '60'] : []))
      expect(failed).toMatchObject([
        { name, detail: expect.stringMatching(detail), remedy: expect.stringMatching(remedy) },
      ])
      expect(code).toBe(6)
    },
  )

  it('names a hypervisor that does not listen, a CA that is missing, and the proxy in place of the API', async () => {
    await using _ = await balancer({})
    const faultOf = async (args: readonly string[], more: NodeJS.ProcessEnv = {}) => {
      const { stdout } = await runCli(['doctor', ...args], { env: { ...env, ...more } })
      return /^failed.*\n.*/m.exec(stdout)![0]
    }
    expect(await faultOf(['down-1'])).toMatch(/novnc console .*\(console_unreachable\).*\n +fix \(hypervisor\): /)
    expect(await faultOf(['web-1'], { OS_CACERT: '' })).toMatch(/novnc network .*\n +fix \(client\): .*OS_CACERT/)
    const root = `http://127.0.0.1:${oriel.proxyPort}`
    expect(await faultOf(['--endpoint', root])).toMatch(/api .* is oriel-proxy, .*\n +fix \(client\): .* in --endpoint/)
    const { stderr } = await runCli(['servers', '--endpoint', root], { env })
    expect(stderr).toMatch(/not JSON but a page\. Is the endpoint that of the compute API.*`oriel doctor`/)
  })

  it('ends with 130 for Ctrl-C, and closes its console', async () => {
    await using _ = await balancer({})
    await using cli = startCli(['doctor', 'web-1', '--type', 'novnc', '--idle', '600'], { env })
    await cli.prints(/novnc console/)
    cli.kill('SIGINT')
    expect(await cli.result).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') })
    await ended(opened().length)
  })
})

interface Check {
  readonly name: string
  readonly status: string
  readonly detail: string
  readonly remedy?: string
}

async function startOriel({ host, port }: ScriptedServer, publicPort: number): Promise<Pair> {
  const servers = [
    { id: WEB, name: 'web-1', consoles: { vnc: { host, port } } },
    { id: DOWN, name: 'down-1', consoles: { vnc: { host, port: await freePort() } } },
  ]
  return startPair({
    servers,
    api: { consoles: { novnc: { base_url: `https://127.0.0.1:${publicPort}/vnc_lite.html` } } },
    proxy: { authority: { kind: 'oriel' }, origin: { trusted_proxies: ['127.0.0.1'] } },
    publicPort,
  })
}

/** The lines of HAProxy that a test may break. */
interface HaproxyLines {
  readonly request: string
  readonly proto: string
  readonly tunnel: string
  readonly server: string
}

const haproxyConfig = (
  bind: string,
  proxyPort: number,
  { request = '', proto = 'https', tunnel = '1h', server = `server one 127.0.0.1:${proxyPort}` }: Partial<HaproxyLines>,
) => `
global
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel ${tunnel}
  option forwardfor
  retries 0
frontend consoles
  bind ${bind}
  http-request set-header X-Forwarded-Proto ${proto}
  ${request}
  default_backend proxies
backend proxies
  ${server}
`
