/** Migrates a machine with a session in remote-viewer between two real QEMUs, in each of SPICE's ways. */
import {
  differingShare,
  freePort,
  type QemuGuest,
  requires,
  startQemu,
  type TemporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bestMatch,
  consoleOf,
  type Display,
  requiresViewers,
  startDisplay,
  startGuest,
  startStand,
  startViewer,
  TOLERANCE,
  until,
} from './parts/spice.ts'

const [qemu, viewers] = [requires('qemu'), requiresViewers()]
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const TOKEN = 'a11ce000-0000-4000-8000-000000000001'

describe.skipIf(qemu.skip || viewers.skip)(
  `a live migration below remote-viewer${qemu.reason}${viewers.reason}`,
  () => {
    const parts = new AsyncDisposableStack()
    let cloud: TemporaryFolder
    let display: Display

    beforeAll(async () => {
      cloud = parts.use(await temporaryPki())
      display = parts.use(await startDisplay())
    })
    afterAll(() => parts.disposeAsync())

    it.each(['seamless', 'semi-seamless', 'switch-host'] as const)('keeps the session open: %s', async (how) => {
      await using hosts = await twoHosts(how === 'seamless')
      const { source, target } = hosts
      const spice = 'migration_hosts = ["127.0.0.0/8"]'
      await using oriel = await startStand({ tokens: { [TOKEN]: consoleOf(source) }, cloud, spice })
      // A viewer that connects after the announcement is sent to the other host at the end of the migration.
      if (how === 'switch-host') await announce(source, target)
      const file = await oriel.file(TOKEN)
      await using viewer = await startViewer(display, file.path)
      await shows(source)
      if (how !== 'switch-host') {
        await announce(source, target)
        await until(
          () => viewersOf(target),
          (channels) => channels >= 4,
        )
      }
      await hosts.migrate()
      expect(
        await until(
          () => oriel.logged('live migration moved the session'),
          ({ length }) => length > 0,
        ),
      ).toMatchObject([{ how }])
      await shows(target)
      await source.qmp('quit').catch(() => {})
      await source.exited

      await pressUntilChanged(target)
      await shows(target)
      expect(oriel.proxy.sessions()).toHaveLength(1)
      expect(oriel.logged('session opened')).toHaveLength(how === 'switch-host' ? 2 : 1)
      // The viewer knows the proxy, but not the hypervisor's ports.
      expect(viewer.log()).not.toMatch(numeral(target.spiceTlsPort!))
    })

    it('ends the session if the proxy may not follow it, and opens no connection to the target', async () => {
      await using hosts = await twoHosts(true)
      const { source, target } = hosts
      await using oriel = await startStand({ tokens: { [TOKEN]: consoleOf(source) }, cloud })
      const file = await oriel.file(TOKEN)
      await using viewer = await startViewer(display, file.path)
      await shows(source)
      await announce(source, target)
      await hosts.migrate()
      await source.qmp('quit').catch(() => {})
      await viewer.exited
      expect(oriel.logged('live migration is disabled: spice.migration_hosts is empty').length).toBeGreaterThan(0)
      expect(await viewersOf(target)).toBe(0)
      expect(viewer.log()).not.toMatch(numeral(target.spiceTlsPort!))
    })

    /** Starts two QEMUs for one machine. The second one waits for the state of the first. */
    async function twoHosts(seamless: boolean) {
      await using opened = new AsyncDisposableStack()
      const guest = { name: 'web-1', uuid: ID, spice: { tls: { folder: cloud.path } } }
      const args = seamless ? ['-spice', 'seamless-migration=on'] : []
      const uri = `tcp:127.0.0.1:${await freePort()}`
      const source = opened.use(await startGuest({ ...guest, args }))
      const target = opened.use(await startQemu({ ...guest, vnc: false, args: [...args, '-incoming', uri] }))
      const close = opened.move()
      const migrate = async () => {
        await source.qmp('migrate', { uri })
        await until(
          async () => (await target.qmp('query-status')) as { status: string },
          ({ status }) => status === 'running',
        )
      }
      return { source, target, migrate, [Symbol.asyncDispose]: () => close.disposeAsync() }
    }

    /** Sends QEMU the viewers' new address, as libvirt does before it migrates a machine. */
    async function announce(source: QemuGuest, target: QemuGuest): Promise<void> {
      const { spicePort: port, spiceTlsPort: tls } = target
      const subject = { 'cert-subject': 'CN=testkit server' }
      await source.qmp('client_migrate_info', {
        protocol: 'spice',
        hostname: '127.0.0.1',
        port,
        'tls-port': tls,
        ...subject,
      })
    }

    /** Matches a whole number: its digits may also be part of a memory address. */
    const numeral = (value: number) => new RegExp(`\\b${value}\\b`)

    const viewersOf = async (guest: QemuGuest) =>
      ((await guest.qmp('query-spice')) as { channels: unknown[] }).channels.length

    const shows = (guest: QemuGuest) =>
      until(
        async () => bestMatch(await guest.screendump(), await display.picture()),
        (share) => share <= TOLERANCE,
      )

    /** Repeats the key: without a window manager the viewer may miss the first ones. */
    async function pressUntilChanged(guest: QemuGuest): Promise<void> {
      const before = await guest.screendump()
      const changed = () =>
        guest.untilPicture((picture) => differingShare(picture, before) > 0.005, { timeoutMs: 3000 }).catch(() => null)
      for (let tries = 0; tries < 5; tries++) {
        await display.press('z', 'Escape')
        if (await changed()) return
      }
      throw new Error('no key reached the guest')
    }
  },
)
