/** A stop with open connections that are not consoles. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseListen } from '@oriel/runtime'
import {
  connectPeer,
  freePort,
  scriptedServer,
  startNovaStub,
  startProgram,
  temporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { ADMIN_TOKEN, INSTANCE, open, running, shakeThen, TOKEN } from './fixture.ts'

const file = fileURLToPath(new URL('fixtures/proxy-program.ts', import.meta.url))
const TRUSTED = '[origin]\ntrusted_proxies = ["127.0.0.1"]'

describe('a stop of the proxy', { timeout: 60_000 }, () => {
  it.each<[string, (pki: { path: string }) => string]>([
    ['before TLS', tlsOf],
    ['before a PROXY header', () => `proxy_protocol = true\n${TRUSTED}`],
    ['before HTTP', () => ''],
  ])('does not wait for a client that is silent %s, and the program exits with 0', async (_, listen) => {
    await using pki = await temporaryPki()
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'proxy.toml'),
      `[authority]\nendpoint = "http://127.0.0.1:1"\n[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]\n${listen(pki)}\n[sessions]\ndrain_seconds = 1`,
    )
    await using program = await startProgram({
      file,
      nodeArgs: ['--conditions=@oriel/source'],
      args: ['--config', join(folder.path, 'proxy.toml')],
    })
    const { address } = await program.waitForLog(({ msg }) => msg === 'listening', { timeoutMs: 60_000 })
    const client = connect(parseListen(address as string))
    client.on('error', () => {})
    await once(client, 'connect')
    process.kill(program.pid, 'SIGTERM')
    expect(await program.exited).toEqual({ code: 0, signal: null })
    client.destroy()
  })
})

describe('a proxy that drains', { timeout: 60_000 }, () => {
  it.each([1, 2])(
    'with %i worker(s) releases its ports to the next process, which is ready at once',
    async (workers) => {
      await using parts = new AsyncDisposableStack()
      const folder = parts.use(await temporaryFolder()).path
      const guest = parts.use(await scriptedServer((peer) => shakeThen(peer, () => peer.closed({ timeoutMs: 60_000 }))))
      const place = { instance_uuid: INSTANCE, host: guest.host, port: guest.port }
      const nova = parts.use(await startNovaStub({ tokens: { [TOKEN]: place }, adminToken: ADMIN_TOKEN }))
      const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
      await writeFile(
        join(folder, 'proxy.toml'),
        `[authority]\nendpoint = "${nova.url}"\nauth = { method = "token", token = "${ADMIN_TOKEN}" }
      [[listen]]\naddress = "${listen}"\nconsoles = ["novnc"]
      [admin]\nlisten = "${admin}"
      [hypervisor]\nidentity = "off"
      [sessions]\ndrain_seconds = 50\nworkers = ${workers}`,
      )
      const start = async () => {
        const args = ['--config', join(folder, 'proxy.toml')]
        return parts.use(await startProgram({ file, nodeArgs: ['--conditions=@oriel/source'], args }))
      }
      const ready = async () => (await fetch(`http://${admin}/readyz`)).status
      const old = await start()
      await old.waitForLog(({ msg }) => msg === 'listening', { timeoutMs: 60_000 })
      await expect.poll(() => ready().catch(() => undefined)).toBe(200)
      // The drain waits for the client's close frame.
      using client = await open(listen)
      client.ws.pause()
      process.kill(old.pid, 'SIGTERM')
      await old.waitForLog(({ msg }) => msg === 'stopping', { timeoutMs: 60_000 })
      const next = await start()
      await next.waitForLog(({ msg }) => msg === 'admin listening', { timeoutMs: 60_000 })
      await expect.poll(() => ready().catch(() => undefined)).toBe(200)
      using _other = await open(listen)
      client.ws.resume()
      expect(await old.exited).toEqual({ code: 0, signal: null })
      expect(await ready()).toBe(200)
    },
  )
})

describe('a TLS handshake', () => {
  it('has a deadline, like the headers', async () => {
    await using pki = await temporaryPki()
    await using proxy = await running({ toml: tlsOf(pki), timing: { clientHandshakeMs: 100 } })
    using peer = await connectPeer(parseListen(proxy.address))
    await peer.closed({ timeoutMs: 60_000 })
  })
})

function tlsOf({ path }: { path: string }): string {
  return `tls = { cert_file = "${path}/server-cert.pem", key_file = "${path}/server-key.pem" }`
}
