/** The units in deploy/systemd under a real systemd, in a QEMU guest. One machine for all tests, which follow each other. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import type { CpioFile } from './parts/cpio.ts'
import { GUEST_ID } from './parts/one-guest.ts'
import { MEMBER_TOKEN, SERVICE_TOKEN, sha256 } from './parts/oriel.ts'
import { filesBelow, requiresSystemd, type SystemdGuest, startSystemd } from './parts/systemd-guest.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { skip, reason } = requiresSystemd()
/** The programs start in about ten seconds there, and in more on a busy machine. */
const timeoutMs = 240_000

describe.skipIf(skip)(`the units in deploy/systemd/ under systemd${reason}`, { timeout: 2 * timeoutMs }, () => {
  let guest: SystemdGuest
  const run = (line: string) => guest.run(line, { timeoutMs })
  /** Returns what was logged since the last call. */
  const journal = () => run('journalctl --sync && journalctl --no-pager -o cat --cursor-file=/tmp/cursor')
  const show = (unit: string, property: string) => run(`systemctl show ${unit} -P ${property}`)

  beforeAll(async () => {
    guest = await startSystemd({ files: await installed() })
    await run('true').catch(async (cause) => {
      throw new Error(`The guest has not started: ${await guest.log()}`, { cause })
    })
    return () => guest[Symbol.asyncDispose]()
  }, 2 * timeoutMs)

  it('start the API, and then the proxy, and are active once the programs accept connections', async () => {
    // systemctl asks for one unit after the other: only an ordered second one waits for the first.
    await run('systemctl start rfb.socket oriel-api oriel-proxy')
    expect(await run('systemctl is-active oriel-api oriel-proxy')).toBe('active\nactive\n')
    const log = await journal()
    expectOrder(log, [
      '"name":"oriel-api","address":"127.0.0.1:8774"',
      'Started oriel-api.service',
      'Starting oriel-proxy.service',
      '"name":"oriel-proxy","address":"127.0.0.1:6080"',
      'Started oriel-proxy.service',
    ])
    expect(log).not.toContain('cannot be reached')
  })

  it('let the API write its database as a user without rights', async () => {
    const pid = (await show('oriel-api', 'MainPID')).trim()
    const uid = (await run(`stat -c %u /proc/${pid}`)).trim()
    expect(Number(uid)).toBeGreaterThan(60_000)
    expect(await run('stat -c "%u %a" /var/lib/oriel/ /var/lib/oriel/oriel.db')).toBe(`${uid} 700\n${uid} 600\n`)
    expect(await run(`grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/${pid}/status`)).toBe(
      'CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n',
    )
  })

  it('give the credentials of the proxy to the proxy alone, which signs in with its token', async () => {
    const uids = await run('for app in api proxy; do stat -c %u /proc/$(systemctl show -P MainPID oriel-$app); done')
    const [api, proxy] = uids.split('\n')
    expect(api).not.toBe(proxy)
    const folder = '/run/credentials/oriel-proxy.service'
    expect(await run(`stat -c "%u %a %n" ${folder}/*`)).toBe(
      `${proxy} 400 ${folder}/resume.key\n${proxy} 400 ${folder}/token\n`,
    )
    expect(await run(`stat -c "%u %a" ${folder}`)).toBe(`${proxy} 500\n`)
    expect(JSON.parse(await run('wget -q -O - http://127.0.0.1:6079/readyz'))).toMatchObject({ status: 'ok' })
  })

  it('keep a console open while they are reloaded, and end it when they stop, the proxy before the API', async () => {
    await run(`node /console.mjs ${MEMBER_TOKEN} ${GUEST_ID} >/tmp/console 2>&1 &`)
    await run('until [ -s /tmp/console ]; do sleep 0.1; done')
    expect(await run('cat /tmp/console')).toBe('open\n')
    await run('systemctl reload oriel-api oriel-proxy')
    const reloads = `journalctl -o cat | grep -c '"msg":"configuration reloaded"'`
    await run(`until [ $(${reloads}) = 2 ]; do sleep 1; done`)
    expect(await run('cat /tmp/console')).toBe('open\n')
    await journal()
    await run('systemctl stop oriel-proxy oriel-api')
    await run('until grep -q closed /tmp/console; do sleep 0.1; done')
    expect(await run('cat /tmp/console')).toBe('open\nclosed 1001\n')
    const log = await journal()
    expectOrder(log, [
      '"audit":"ended"',
      'Stopped oriel-proxy.service',
      'Stopping oriel-api.service',
      'Stopped oriel-api.service',
    ])
    expect(log).not.toContain('cannot be reported')
    for (const unit of ['oriel-api', 'oriel-proxy']) {
      expect([await show(unit, 'ActiveState'), await show(unit, 'Result')]).toEqual(['inactive\n', 'success\n'])
    }
  })

  it('do not start with a wrong key, nor try again, and log the reason', async () => {
    await run('sed -i "s/^drain_seconds/drain_second/" /etc/oriel/proxy.toml')
    await expect(run('systemctl start oriel-proxy')).rejects.toThrow('Job for oriel-proxy.service failed')
    expect([await show('oriel-proxy', 'ActiveState'), await show('oriel-proxy', 'ExecMainStatus')]).toEqual([
      'failed\n',
      '2\n',
    ])
    expect(await journal()).toContain('cannot start: sessions.drain_second: unknown key')
  })

  it('do not start without the file of a credential', async () => {
    await run('rm /etc/oriel/proxy-token')
    await expect(run('systemctl start oriel-proxy')).rejects.toThrow('Job for oriel-proxy.service failed')
    await run('systemctl stop oriel-proxy')
    expect(await journal()).toContain('oriel-proxy.service: Failed to set up credentials: ')
  })

  it('start a killed API again, with the database it had', async () => {
    await run('systemctl start oriel-api')
    const before = await run('stat -c %i /var/lib/oriel/oriel.db')
    await run('systemctl kill -s KILL oriel-api')
    await run('until [ $(systemctl show -P NRestarts oriel-api) = 1 ]; do sleep 0.1; done')
    await run('systemctl start oriel-api')
    expect(JSON.parse(await run('wget -q -O - http://127.0.0.1:6078/readyz'))).toMatchObject({ status: 'ok' })
    expect(await run('stat -c %i /var/lib/oriel/oriel.db')).toBe(before)
  })

  it('stop the API before the program with both starts on its ports, with its database', async () => {
    const before = await run('stat -c %i /var/lib/oriel/oriel.db')
    await journal()
    await run('systemctl start oriel')
    expectOrder(await journal(), ['Stopped oriel-api.service', 'Starting oriel.service', 'Started oriel.service'])
    expect(JSON.parse(await run('wget -q -O - http://127.0.0.1:6079/readyz'))).toMatchObject({ status: 'ok' })
    expect(await run('stat -c %i /var/lib/oriel/oriel.db')).toBe(before)
  })
})

/** Expects that the texts are in the log, in this order. */
function expectOrder(log: string, texts: readonly string[]) {
  for (const text of texts) expect(log).toContain(text)
  expect(texts.toSorted((a, b) => log.indexOf(a) - log.indexOf(b))).toEqual(texts)
}

/** Returns the files that docs/operations.md describes, and a hypervisor's port. */
async function installed(): Promise<CpioFile[]> {
  const deployed = (name: string) => readFile(`${root}/deploy/${name}`, 'utf8')
  const units = ['oriel-api.service', 'oriel-proxy.service', 'oriel.service']
  const dropIns = ['token', 'resume-key'].map((name) => `oriel-proxy.service.d/${name}.conf`)
  const programs = ['api', 'proxy', 'oriel'].map((app) =>
    filesBelow(`${root}/apps/${app}/dist`, `opt/oriel/apps/${app}/dist`),
  )
  return [
    ...(await Promise.all(programs)).flat(),
    ...(await Promise.all(
      [...units, ...dropIns].map(async (name) => ({
        path: `etc/systemd/system/${name}`,
        content: await deployed(`systemd/${name}`),
      })),
    )),
    { path: 'etc/oriel/api.toml', content: apiToml(await deployed('api.toml')) },
    { path: 'etc/oriel/proxy.toml', content: proxyToml(await deployed('proxy.toml')) },
    { path: 'etc/oriel/oriel.toml', content: await deployed('oriel.toml') },
    { path: 'etc/oriel/proxy-token', content: SERVICE_TOKEN, mode: 0o600 },
    { path: 'etc/oriel/resume.key', content: Buffer.alloc(32, 1).toString('base64'), mode: 0o600 },
    { path: 'etc/systemd/system/rfb.socket', content: '[Socket]\nListenStream=127.0.0.1:5901\nAccept=yes\n' },
    { path: 'etc/systemd/system/rfb@.service', content: RFB_SERVICE },
    { path: 'rfb-handshake', content: RFB_HANDSHAKE },
    { path: 'rfb-init', content: RFB_INIT },
    { path: 'console.mjs', content: CONSOLE },
  ]
}

const apiToml = (toml: string) =>
  toml
    .replace(`${'0'.repeat(63)}1`, sha256(MEMBER_TOKEN))
    .replace(`${'0'.repeat(63)}2`, sha256(SERVICE_TOKEN))
    .replace('https://consoles.example/', 'http://127.0.0.1:6080/')
    .replace('host = "10.0.0.5"', 'host = "127.0.0.1"')

/** The deadlines are those of a machine that is not emulated. */
const proxyToml = (toml: string) =>
  `${toml.replace('timeout_ms = 5000', 'timeout_ms = 120000')}
[hypervisor]
dial_timeout_ms = 120000
handshake_timeout_ms = 120000
`

const RFB_SERVICE = `[Service]
StandardInput=socket
StandardOutput=socket
ExecStart=/bin/sh -c 'cat /rfb-handshake; head -c 14 >/dev/null; cat /rfb-init; exec cat >/dev/null'
`

/** An RFB server's messages before ServerInit. They are sent at once; the client's three, until ClientInit, have 14 bytes. */
const RFB_HANDSHAKE = 'RFB 003.008\n\x01\x01\0\0\0\0'
const RFB_INIT = Buffer.concat([
  Buffer.of(0, 2, 0, 2, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 5),
  Buffer.from('web-1'),
])

/** Opens a console, and writes "open" after the RFB handshake, and the code with which the proxy closed it. */
const CONSOLE = `const [token, server] = process.argv.slice(2)
const response = await fetch(\`http://127.0.0.1:8774/v2.1/servers/\${server}/remote-consoles\`, {
  method: 'POST',
  headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json', 'OpenStack-API-Version': 'compute 2.96' },
  body: JSON.stringify({ remote_console: { protocol: 'vnc', type: 'novnc' } }),
})
const page = new URL((await response.json()).remote_console.url)
const socket = new WebSocket(new URL(page.searchParams.get('path'), page.href.replace('http:', 'ws:')), ['binary'])
// For the version, the security types and their result. The last message is ServerInit.
const replies = ['RFB 003.008\\n', '\\x01', '\\x01']
socket.onmessage = () => (replies.length > 0 ? socket.send(new TextEncoder().encode(replies.shift())) : console.log('open'))
socket.onclose = ({ code }) => console.log('closed', code)
`
