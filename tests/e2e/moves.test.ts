/** Migrates a machine between two real QEMUs while its VNC console is open in a real browser. */
import { join } from 'node:path'
import { closeReasons } from '@oriel/contract'
import { freePort, type QemuGuest, type QemuOptions, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Pair, PROJECT, startPair } from './parts/oriel.ts'
import { untilShows } from './parts/page.ts'
import { mint, open } from './parts/sessions.ts'
import { connectNovnc, novncState, startNovncSite } from './parts/stock-novnc.ts'

const { skip, reason } = requires('qemu', 'chromium')
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

describe.skipIf(skip)(`a machine that is migrated to another real QEMU${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser

  beforeAll(async () => {
    browser = parts.use(await startChromium())
  })
  afterAll(() => parts.disposeAsync())

  it('ends its VNC session as moved once the console is at the other one, and opens there again', async () => {
    await using hosts = await twoHosts()
    await using oriel = await startOriel(hosts.folder)
    using session = await open(oriel.proxyPort, await mint(oriel.client, ID))
    await hosts.migrate()
    expect(await session.closed).toMatchObject({ code: closeReasons.moved.code })
    using again = await open(oriel.proxyPort, await mint(oriel.client, ID))
    expect(await viewersOf(hosts.target)).toBe(1)
    await again.close()
  }, 90_000)

  it('shows the page that has its console open the same machine at the other one', async () => {
    await using hosts = await twoHosts()
    await using oriel = await startOriel(hosts.folder)
    const page = await browser.newPage()
    await page.goto((await oriel.client.createConsole(ID, 'novnc')).url)
    await untilShows(page, hosts.source)
    await hosts.migrate()
    await expect.poll(() => viewersOf(hosts.target), { timeout: 30_000 }).toBe(1)
    await untilShows(page, hosts.target)
    const records = oriel.proxy.records.filter(({ msg }) => msg === 'session ended' || msg === 'session opened')
    expect(records.map(({ msg, reason: why }) => why ?? msg)).toEqual(['session opened', 'moved', 'session opened'])
    await page.close()
  }, 90_000)

  it('ends the session of noVNC as published, which then opens a new console at the other one', async () => {
    await using hosts = await twoHosts()
    await using oriel = await startOriel(hosts.folder)
    await using site = await startNovncSite()
    const page = await browser.newPage()
    const address = async () => `ws://127.0.0.1:${oriel.proxyPort}/websockify?token=${await mint(oriel.client, ID)}`
    await connectNovnc(page, site, await address())
    await untilShows(page, hosts.source)
    await hosts.migrate()
    await expect.poll(() => novncState(page), { timeout: 30_000 }).toBe('disconnected')
    await connectNovnc(page, site, await address())
    await untilShows(page, hosts.target)
    await page.close()
  }, 90_000)

  /** Starts two QEMUs for one machine, of which the second waits for the state of the first. */
  async function twoHosts() {
    await using opened = new AsyncDisposableStack()
    const { path: folder } = opened.use(await temporaryFolder())
    const uri = `tcp:127.0.0.1:${await freePort()}`
    const start = (name: string, options: Partial<QemuOptions> = {}) =>
      startQemu({
        ...{ name: 'web-1', uuid: ID, ...options },
        args: ['-qmp', `unix:${join(folder, name)}.qmp,server=on,wait=off`, ...(options.args ?? [])],
      })
    const source = opened.use(await start('a'))
    const target = opened.use(await start('b', { args: ['-incoming', uri] }))
    const close = opened.move()
    return {
      ...{ folder, source, target },
      /** Migrates, and ends the first QEMU like libvirt once the second one runs. */
      migrate: async () => {
        await source.qmp('migrate', { uri })
        await expect.poll(() => target.qmp('query-status'), { timeout: 30_000 }).toMatchObject({ status: 'running' })
        await source.qmp('quit').catch(() => {})
        await source.exited
      },
      [Symbol.asyncDispose]: () => close.disposeAsync(),
    }
  }
})

async function startOriel(folder: string): Promise<Pair> {
  const source = { kind: 'qemu', qmp: join(folder, '*.qmp'), host: '127.0.0.1', answer_timeout_ms: 15_000 }
  const oriel = await startPair({
    servers: [],
    api: { sources: [{ ...source, project_id: PROJECT }] },
    proxy: { authority: { kind: 'oriel' }, hypervisor: { identity: 'enforce' } },
  })
  const names = async () => (await oriel.client.at('2.99').listServers()).servers.map(({ name }) => name)
  await expect.poll(names, { timeout: 20_000 }).toEqual(['web-1'])
  return oriel
}

async function viewersOf(guest: QemuGuest): Promise<number> {
  const { clients = [] } = (await guest.qmp('query-vnc')) as { clients?: readonly unknown[] }
  return clients.length
}
