/** The container images: the same bytes from each build, and a console through their programs, isolated as in a container. */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient, staticToken } from '@oriel/sdk'
import { freePort, type QemuGuest, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  buildImages,
  type Container,
  requiresImage,
  startContainer,
  type UnpackedImage,
  unpackImage,
} from './parts/image.ts'
import { apiConfig, listening, MEMBER_TOKEN, proxyConfig } from './parts/oriel.ts'
import { untilShows } from './parts/page.ts'

const parts = requires('qemu', 'chromium')
const tools = await requiresImage()
const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const MAX_BYTES = 130e6
/** It ends what hangs: a build alone takes a few seconds. */
const BUILD_TIMEOUT_MS = 300_000

describe.skipIf(parts.skip || tools.skip)(`the container images${parts.reason}${tools.reason}`, () => {
  const scope = new AsyncDisposableStack()
  let digests: readonly string[]
  let api: UnpackedImage
  let proxy: UnpackedImage

  beforeAll(async () => {
    const folder = scope.use(await temporaryFolder()).path
    digests = await Promise.all(['first', 'second'].map((name) => buildImages(join(folder, name))))
    const unpack = (name: string) => unpackImage(join(folder, 'first/oci'), name, join(folder, name))
    const unpacked = await Promise.all([unpack('oriel-api'), unpack('oriel-proxy')])
    api = unpacked[0]
    proxy = unpacked[1]
  }, BUILD_TIMEOUT_MS)
  afterAll(() => scope.disposeAsync())

  it('are the same bytes from two builds of one commit', () => {
    expect(digests[0]).toMatch(/^(oriel-api|oriel-proxy|oriel) sha256:[0-9a-f]{64}$/m)
    expect(digests[1]).toBe(digests[0])
  })

  it('have Node and the program alone, below 130 MB, with SBOMs', async () => {
    for (const { root, config } of [api, proxy]) {
      const title = config.Labels['org.opencontainers.image.title']
      expect(await readdir(join(root, 'usr/bin'))).toEqual(['node'])
      expect(await readdir(join(root, 'usr/sbin'))).toEqual([])
      expect(await readdir(join(root, 'usr/share/sbom'))).toEqual([`${title}.cdx.json`, `${title}.spdx.json`])
      expect(await bytesIn(root)).toBeLessThan(MAX_BYTES)
      const { components } = JSON.parse(await readFile(join(root, `usr/share/sbom/${title}.cdx.json`), 'utf8'))
      const names = components.map(({ name }: { name: string }) => name)
      expect(names).toEqual(expect.arrayContaining(['hono', 'libc6', 'node', 'typebox']))
    }
  })

  it('open a console read-only as user 10001, and answer probes of health', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id })
    await using pair = await startPairOf(api, proxy, guest)
    expect(proxy.config.User).toBe('10001:10001')
    await expectHealth(pair.proxy, proxy, `oriel-proxy answers on ${pair.admin}`)
    await expectHealth(pair.api, api, `oriel-api answers on ${pair.address}`)
    // The probes of Kolla-Ansible and OpenStack-Helm.
    for (const page of ['vnc_lite.html', 'vnc_auto.html', 'spice_auto.html', 'serial_auto.html']) {
      const response = await fetch(`http://${pair.listeners[page.split(/[_.]/)[0]!]}/${page}`)
      expect([page, response.status]).toEqual([page, 200])
    }
    const client = createClient({ endpoint: `http://${pair.address}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
    await using browser = await startChromium()
    const page = await browser.newPage()
    await page.goto((await client.createConsole(id, 'novnc')).url)
    await untilShows(page, guest)
    for (const program of [pair.proxy, pair.api]) expect(await program.stop()).toEqual({ code: 0, signal: null })
    await using stopped = await pair.proxy.exec(proxy.config.Healthcheck.Test.slice(1))
    expect(await stopped.exited).toEqual({ code: 1, signal: null })
    expect(stopped.stderr).toMatch(/^oriel-proxy: admin\.listen: nothing listens on /)
  })

  it('let their program write nowhere but to /tmp', async () => {
    await using program = await startContainer(proxy, 'proxy.toml', {})
    const script = `
      const { mkdtempSync, writeFileSync } = require('node:fs')
      const result = (path) => { try { writeFileSync(path, ''); return 'written' } catch ({ code }) { return code } }
      console.log([process.getuid(), process.getgroups().join(), ...['/x', '/etc/oriel/x', '/tmp/x'].map(result)].join(' '))
    `
    await using node = await program.exec(['/usr/bin/node', '-e', script])
    expect(await node.exited).toEqual({ code: 0, signal: null })
    expect(node.otherLines).toEqual(['10001 10001 EROFS EACCES written'])
  })
})

interface RunningPair extends AsyncDisposable {
  readonly api: Container
  readonly proxy: Container
  /** The API's `host:port`. */
  readonly address: string
  /** The `host:port` of the proxy's admin listener. */
  readonly admin: string
  readonly listeners: Readonly<Record<string, string>>
}

async function startPairOf(api: UnpackedImage, proxy: UnpackedImage, guest: QemuGuest): Promise<RunningPair> {
  await using scope = new AsyncDisposableStack()
  const [apiPort, vnc, spice, serial, adminPort] = [
    ...[await freePort(), await freePort(), await freePort(), await freePort(), await freePort()],
  ] as [number, number, number, number, number]
  const servers = [{ id, name: 'web-1', consoles: { vnc: { host: guest.host, port: guest.vncPort } } }]
  const apiToml = { ...apiConfig(apiPort, vnc, servers), tokens: { store: 'sqlite::memory:' } }
  const apiProgram = scope.use(await startContainer(api, 'api.toml', apiToml))
  await listening(apiProgram)
  const listen = [
    { address: `127.0.0.1:${vnc}`, consoles: ['novnc'] },
    { address: `127.0.0.1:${spice}`, consoles: ['spice-html5'] },
    { address: `127.0.0.1:${serial}`, consoles: ['serial'] },
  ]
  const admin = `127.0.0.1:${adminPort}`
  const proxyToml = {
    ...proxyConfig(apiPort, vnc),
    listen,
    admin: { listen: admin },
    hypervisor: { identity: 'enforce' },
  }
  const proxyProgram = scope.use(await startContainer(proxy, 'proxy.toml', proxyToml))
  await listening(proxyProgram, listen.length)
  const rest = scope.move()
  return {
    ...{ api: apiProgram, proxy: proxyProgram, admin, address: `127.0.0.1:${apiPort}` },
    listeners: { vnc: listen[0]!.address, spice: listen[1]!.address, serial: listen[2]!.address },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** Runs the image's HEALTHCHECK beside its running program. */
async function expectHealth(container: Container, { config }: UnpackedImage, sentence: string): Promise<void> {
  await using check = await container.exec(config.Healthcheck.Test.slice(1))
  expect(await check.exited).toEqual({ code: 0, signal: null })
  expect([check.otherLines, check.stderr]).toEqual([[sentence], ''])
}

async function bytesIn(root: string): Promise<number> {
  const { stdout } = await promisify(execFile)('find', [root, '-type', 'f', '-printf', '%s\\n'])
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, size) => sum + Number(size), 0)
}
