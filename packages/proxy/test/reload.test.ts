import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, readFile, rename, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { parseListen } from '@oriel/runtime'
import {
  freePort,
  scriptedServer,
  startNovaStub,
  startProgram,
  temporaryFolder,
  temporaryPki,
  within,
} from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createProxy } from '../src/index.ts'
import { ADMIN_TOKEN, capture, configOf, INSTANCE, shakeThen, TOKEN } from './fixture.ts'

const file = fileURLToPath(new URL('fixtures/proxy-program.ts', import.meta.url))
const STARTED = { timeoutMs: 60_000 }

/** `oriel-proxy` with TLS on its listener, and two CAs for alternating certificates. */
async function program(workers = 1) {
  await using opened = new AsyncDisposableStack()
  const hypervisor = opened.use(
    await scriptedServer((peer) =>
      shakeThen(peer, async (guest) => {
        // Lasts until the console is closed.
        for (let open = true; open; ) {
          const bytes = await guest.read(4, { timeoutMs: 60_000 }).catch(() => undefined)
          if (bytes) await guest.send(bytes)
          else open = false
        }
      }),
    ),
  )
  const { host, port } = hypervisor
  const tokens = { [TOKEN]: { instance_uuid: INSTANCE, host, port } }
  const nova = opened.use(await startNovaStub({ tokens, adminToken: ADMIN_TOKEN }))
  const folder = opened.use(await temporaryFolder())
  const pkis = [opened.use(await temporaryPki()), opened.use(await temporaryPki())] as const
  const at = (name: string) => join(folder.path, name)
  const install = async (pki: { path: string }, names = ['cert', 'key']) => {
    for (const name of names) {
      await copyFile(join(pki.path, `server-${name}.pem`), at(`${name}.new`))
      await rename(at(`${name}.new`), at(`${name}.pem`))
    }
  }
  await install(pkis[0])
  await writeFile(at('proxy.toml'), toml(nova.url, workers))
  const running = opened.use(
    await startProgram({ file, nodeArgs: ['--conditions=@oriel/source'], args: ['--config', at('proxy.toml')] }),
  )
  await running.waitForLog(({ msg }) => msg === (workers > 1 ? 'all workers accept connections' : 'listening'), STARTED)
  const address = (await running.waitForLog(({ msg }) => msg === 'listening')).address as string
  const close = opened.move()
  return { running, address, pkis, install, at, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

const toml = (endpoint: string, workers: number) => `
  [authority]
  endpoint = "${endpoint}"
  auth = { method = "token", token = "${ADMIN_TOKEN}" }
  [[listen]]
  address = "127.0.0.1:0"
  consoles = ["novnc"]
  tls = { cert = "cert.pem", key = "key.pem" }
  [hypervisor]
  identity = "off"
  [sessions]
  workers = ${workers}`

/** The fingerprints of the listener's certificate and of the certificate in a folder. */
async function shown(address: string): Promise<string> {
  const socket: TLSSocket = connect({ ...parseListen(address), rejectUnauthorized: false })
  await within(once(socket, 'secureConnect'), 10_000, () => 'no TLS')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}
const fingerprint = async ({ path }: { path: string }) =>
  new X509Certificate(await readFile(join(path, 'server-cert.pem'))).fingerprint256

/** Opens a console over TLS with a verified certificate, which echoes its input. */
async function console_(address: string, pki: { path: string }) {
  const ca = await readFile(join(pki.path, 'ca-cert.pem'))
  const socket = new WebSocket(`wss://${address}/?token=${TOKEN}`, ['binary'], { ca })
  const heard: Buffer[] = []
  socket.on('message', (data: Buffer) => heard.push(data))
  await within(once(socket, 'open'), 10_000, () => 'the WebSocket did not open')
  for (const bytes of [Buffer.from('RFB 003.008\n'), Buffer.of(1)]) socket.send(bytes)
  const echo = async (text: string) => {
    socket.send(text === '' ? Buffer.alloc(0) : Buffer.from(text))
    await expect.poll(() => Buffer.concat(heard).toString('latin1')).toContain(text)
  }
  return { socket, echo, [Symbol.dispose]: () => socket.terminate() }
}

describe('certificates', { timeout: 120_000 }, () => {
  it('are replaced on SIGHUP and when their files change, while consoles stay open', async () => {
    await using it = await program()
    const [first, second] = it.pkis
    expect(await shown(it.address)).toBe(await fingerprint(first))
    using open = await console_(it.address, first)
    await open.echo('one!')
    await it.install(second)
    process.kill(it.running.pid, 'SIGHUP')
    await it.running.waitForLog(({ msg }) => msg === 'certificate replaced')
    expect(await shown(it.address)).toBe(await fingerprint(second))
    using _new = await console_(it.address, second)
    await open.echo('two!')
    await it.install(first)
    await expect.poll(() => shown(it.address)).toBe(await fingerprint(first))
    await open.echo('tri!')
    expect(await it.running.stop()).toEqual({ code: 0, signal: null })
  })

  it('are kept when the new ones are faulty, with the reason in the log', async () => {
    await using it = await program()
    const [first, second] = it.pkis
    await it.install(second, ['key'])
    const mismatch = await it.running.waitForLog(({ msg }) => /^cannot reload/.test(String(msg)))
    expect(mismatch).toMatchObject({
      level: 'error',
      faults: [expect.stringContaining('listen[0].tls.key: belongs to another certificate')],
    })
    expect(await shown(it.address)).toBe(await fingerprint(first))
    await it.install(second, ['cert'])
    await expect.poll(() => shown(it.address)).toBe(await fingerprint(second))
    await writeFile(it.at('cert.pem'), 'no certificate')
    await it.running.waitForLog(({ msg }) => /^cannot reload/.test(String(msg)))
    await unlink(it.at('cert.pem'))
    process.kill(it.running.pid, 'SIGHUP')
    await it.running.waitForLog(({ faults }) => JSON.stringify(faults ?? '').includes('cannot read'))
    expect(await shown(it.address)).toBe(await fingerprint(second))
    expect(JSON.stringify(it.running.records)).not.toContain('PRIVATE KEY')
  })

  it('are replaced when a symbolic link changes, as with Kubernetes and certbot', async () => {
    await using it = await program()
    const [, second] = it.pkis
    for (const name of ['cert', 'key']) {
      await symlink(join(second.path, `server-${name}.pem`), it.at(`${name}.new`))
      await rename(it.at(`${name}.new`), it.at(`${name}.pem`))
    }
    await expect.poll(() => shown(it.address)).toBe(await fingerprint(second))
  })

  it('are replaced in every worker', async () => {
    await using it = await program(2)
    const [, second] = it.pkis
    await it.install(second)
    process.kill(it.running.pid, 'SIGHUP')
    const replaced = () =>
      new Set(it.running.records.filter(({ msg }) => msg === 'certificate replaced').map(({ worker }) => worker))
    await expect.poll(replaced).toEqual(new Set([0, 1]))
    for (let i = 0; i < 4; i += 1) expect(await shown(it.address)).toBe(await fingerprint(second))
  })
})

describe('a reloaded configuration', () => {
  const authority = {
    health: { name: 'authority', check: () => {} },
    admit: () => Promise.reject(new Error('nobody comes')),
    async [Symbol.asyncDispose]() {},
  }
  const table = (address: string, { path }: { path: string }, more = '') =>
    `[[listen]]\naddress = "${address}"\nconsoles = ["novnc"]\ntls = { cert_file = "${path}/server-cert.pem", key_file = "${path}/server-key.pem"${more} }\n`
  const read = (first: string, ...tables: string[]) => configOf('http://127.0.0.1:1', tables.join(''), first)

  it('gives each listener the certificate of its address, wherever its table is', async () => {
    await using a = await temporaryPki()
    await using b = await temporaryPki()
    await using c = await temporaryPki()
    const addresses = await Promise.all(
      [freePort(), freePort(), freePort()].map(async (port) => `127.0.0.1:${await port}`),
    )
    const [atA = '', atB = '', added = ''] = addresses
    const log = capture()
    const config = read('127.0.0.1:0', table(atA, a), table(atB, b))
    await using proxy = await createProxy({ config, authority, log: log.logger })
    proxy.reload(read('127.0.0.1:0', table(added, c), table(atA, a), table(atB, b)))
    expect(log.records('certificate replaced')).toEqual([])
    expect([await shown(atA), await shown(atB)]).toEqual([await fingerprint(a), await fingerprint(b)])
    proxy.reload(read('127.0.0.1:0', table(atB, c), table(atA, a)))
    expect([await shown(atA), await shown(atB)]).toEqual([await fingerprint(a), await fingerprint(c)])
    expect(log.records('certificate replaced')).toMatchObject([{ listener: atB }])
  })

  it('does not change removed or indistinguishable listeners, and logs that', async () => {
    await using a = await temporaryPki()
    await using b = await temporaryPki()
    const log = capture()
    const config = read('127.0.0.1:0', table('127.0.0.1:0', a), table('localhost:0', a))
    await using proxy = await createProxy({ config, authority, log: log.logger })
    proxy.reload(read('127.0.0.1:0', table('127.0.0.1:0', b), table('127.0.0.1:0', b)))
    for (const { address } of proxy.listeners.slice(1)) expect(await shown(address)).toBe(await fingerprint(a))
    expect(
      log.records('the number of tables with this address has changed; keeping the old certificate'),
    ).toMatchObject([{ listener: '127.0.0.1:0' }, { listener: 'localhost:0' }])
  })

  it('without [spice] does not change native SPICE', async () => {
    const native = '[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["spice-direct"]\n[spice]\nlisten = "127.0.0.1:0"'
    const log = capture()
    await using proxy = await createProxy({ config: read('127.0.0.1:0', native), authority, log: log.logger })
    proxy.reload(read('127.0.0.1:0'))
    expect(proxy.spice?.address).toBeDefined()
    expect(log.records('listening')).not.toHaveLength(0)
  })
})
