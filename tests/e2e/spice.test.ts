/** Opens console URLs of type spice-direct of a real guest in native viewers. */
import { existsSync, readFileSync } from 'node:fs'
import { differingShare, requires, type TemporaryFolder, temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bestMatch,
  consoleOf,
  type Display,
  requiresViewers,
  type SpiceStand,
  type SpiceStandOptions,
  type StillGuest,
  screenshot,
  startDisplay,
  startGuest,
  startStand,
  startViewer,
  TOLERANCE,
  until,
  type VvFile,
} from './parts/spice.ts'
import { openLink, type SpiceLink } from './parts/spice-link.ts'

const [qemu, viewers] = [requires('qemu'), requiresViewers()]
const skip = qemu.skip || viewers.skip
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const OTHER_ID = '11111111-2222-4333-8444-555555555555'
const [ALICE, BOB] = ['a11ce000-0000-4000-8000-000000000001', 'b0b00000-0000-4000-8000-000000000002']

describe.skipIf(skip)(`native SPICE to a real QEMU guest${qemu.reason}${viewers.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let cloud: TemporaryFolder
  let guest: StillGuest

  beforeAll(async () => {
    cloud = parts.use(await temporaryPki())
    guest = parts.use(await startGuest({ name: 'web-1', uuid: ID, spice: { tls: { folder: cloud.path } } }))
  })
  afterAll(() => parts.disposeAsync())

  const stand = (options: Partial<SpiceStandOptions> = {}) =>
    startStand({ tokens: { [ALICE]: consoleOf(guest), [BOB]: consoleOf(guest) }, cloud, ...options })
  const through = ({ ca }: SpiceStand, { host, tlsPort, password }: VvFile) =>
    screenshot({ host, tlsPort, password }, ca)
  const linked = async ({ ca, tlsPort: port }: SpiceStand, { password }: VvFile, link: object = {}) =>
    openLink({ port, password, ca: readFileSync(ca, 'utf8'), ...link })

  const withDisplay = async (oriel: SpiceStand, file: VvFile) => {
    const main = await linked(oriel, file)
    main.send(104)
    await received(main, 104)
    const connectionId = main
      .messages()
      .find(({ type }) => type === 103)!
      .body.readUInt32LE()
    return { main, display: await linked(oriel, file, { channelType: 2, connectionId }) }
  }

  it('shows the same picture in spicy-screenshot as without the proxy', async () => {
    await using oriel = await stand()
    const direct = await screenshot({ host: guest.host, port: guest.spicePort! })
    const picture = await through(oriel, await oriel.file(ALICE))
    expect(differingShare(picture, direct)).toBeLessThanOrEqual(TOLERANCE)
    expect(differingShare(picture, await guest.screendump())).toBeLessThanOrEqual(TOLERANCE)
    await until(
      () => oriel.logged('session ended'),
      (ended) => ended.length === 1,
    )
    expect(oriel.logged('session opened')).toMatchObject([{ instance: ID, client: '127.0.0.1', type: 'spice-direct' }])
  })

  it('writes only the TLS port of the proxy to the viewer file, and nothing of the hypervisor', async () => {
    await using oriel = await stand()
    const { text, tlsPort } = await oriel.file(ALICE)
    expect(tlsPort).toBe(oriel.tlsPort)
    expect(text).not.toMatch(/^(port|host-subject|proxy)=/m)
    for (const port of [guest.spicePort, guest.spiceTlsPort]) expect(text).not.toContain(String(port))
    expect(text).not.toContain(readFileSync(`${cloud.path}/ca-cert.pem`, 'utf8').split('\n')[1])
  })

  it('refuses an expired ticket as a failed authentication', async () => {
    await using oriel = await stand({ spice: 'first_use_seconds = 1' })
    const file = await oriel.file(ALICE)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await expect(through(oriel, file)).rejects.toThrow('main channel event: 23')
  })

  it('refuses a wrong and an ended ticket in the same way', async () => {
    await using oriel = await stand()
    const ended = await oriel.file(ALICE)
    await expect(through(oriel, { ...ended, password: 'wrong' })).rejects.toThrow('main channel event: 23')
    using first = await linked(oriel, ended)
    using second = await linked(oriel, await oriel.file(BOB))
    expect([first.result, second.result]).toEqual([0, 0])
    await expect(through(oriel, ended)).rejects.toThrow('main channel event: 23')
  })

  it('begins a new TLS record for every message to the viewer', async () => {
    await using oriel = await stand()
    const file = await oriel.file(ALICE)
    using main = await linked(oriel, file)
    main.send(104)
    await received(main, 104)
    const connectionId = main
      .messages()
      .find(({ type }) => type === 103)!
      .body.readUInt32LE()
    using display = await linked(oriel, file, { channelType: 2, connectionId })
    display.send(101, Buffer.alloc(14))
    // Redrawing the screen takes hundreds of messages, which QEMU sends in few segments.
    await guest.restart()
    await until(
      () => display.messages().length,
      (count) => count > 30,
    )
    expect(main.messages().length).toBeGreaterThanOrEqual(4)
  })

  it('lets a second user take the console over, and logs both users', async () => {
    await using oriel = await stand()
    using first = await linked(oriel, await oriel.file(ALICE))
    expect(first.result).toBe(0)
    using second = await linked(oriel, await oriel.file(BOB))
    expect(second.result).toBe(0)
    await until(
      () => oriel.logged('session ended'),
      (ended) => ended.length === 1,
    )
    expect(oriel.logged('session ended')).toMatchObject([{ reason: 'taken_over' }])
    const files = oriel.logged('console file served').map(({ digest }) => digest)
    expect(new Set(files).size).toBe(2)
    expect(oriel.logged('console taken over')).toMatchObject([
      { earlier: { digest: files[0], client: '127.0.0.1' }, later: { digest: files[1], client: '127.0.0.1' } },
    ])
  })

  it('refuses a second user if spice.in_use = "refuse"', async () => {
    await using oriel = await stand({ spice: 'in_use = "refuse"' })
    const [alices, bobs] = [await oriel.file(ALICE), await oriel.file(BOB)]
    using first = await linked(oriel, alices)
    using second = await linked(oriel, bobs)
    expect([first.result, second.result]).toEqual([0, undefined])
    await expect(oriel.file(BOB)).rejects.toThrow('409')
    expect(oriel.logged('console in use')).toHaveLength(1)
    expect(oriel.proxy.sessions()).toHaveLength(1)
  })

  it('CVE-2013-0335 port reuse: shows nothing of another machine that has taken the port', async () => {
    const tokens = { [ALICE]: { ...consoleOf(guest), instance_uuid: OTHER_ID } }
    await using oriel = await stand({ tokens })
    await expect(through(oriel, await oriel.file(ALICE))).rejects.toThrow('main channel event')
    expect(oriel.logged('session ended')).toMatchObject([{ reason: 'wrong_instance', channels: 1 }])
    expect(oriel.logged('the console belongs to another instance')).toMatchObject([{ guest: ID, instance: OTHER_ID }])
  })

  it('refuses a hypervisor with a certificate of another CA or for another host', async () => {
    await using stranger = await temporaryPki()
    await using strangers = await stand({ cloud: stranger })
    await expect(strangers.file(ALICE)).rejects.toThrow('502')
    const args = ['-spice', 'addr=127.0.0.2']
    await using wide = await startGuest({ name: 'wide', uuid: ID, spice: { tls: { folder: cloud.path } }, args })
    const tokens = { [ALICE]: { ...consoleOf(wide), host: '127.0.0.2' } }
    await using named = await stand({ tokens })
    await expect(named.file(ALICE)).rejects.toThrow('502')
    expect(named.logged('refused')[0]!.detail).toContain("IP: 127.0.0.2 is not in the cert's list")
    const subject = 'subject = "CN=testkit server"'
    await using templated = await stand({ tokens, hypervisor: subject })
    await templated.file(ALICE)
  })

  it('connects to a hypervisor with only a TLS port, and to one with both ports', async () => {
    await using oriel = await stand({ tokens: { [ALICE]: { ...consoleOf(guest), port: -1 } } })
    const picture = await through(oriel, await oriel.file(ALICE))
    expect(differingShare(picture, await guest.screendump())).toBeLessThanOrEqual(TOLERANCE)

    const args = ['-spice', 'tls-channel=inputs,plaintext-channel=display']
    await using mixed = await startGuest({ name: 'mixed', uuid: ID, spice: { tls: { folder: cloud.path } }, args })
    const tokens = { [ALICE]: consoleOf(mixed) }
    await using both = await stand({ tokens })
    const shown = await through(both, await both.file(ALICE))
    expect(differingShare(shown, await mixed.screendump())).toBeLessThanOrEqual(TOLERANCE)
    await using strict = await stand({ tokens, hypervisor: 'allow_plaintext = false' })
    const { main, display } = await withDisplay(strict, await strict.file(ALICE))
    using _main = main
    using refused = display
    expect(refused.result).toBeUndefined()
    expect(strict.logged('refused')).toMatchObject([{ detail: expect.stringContaining('allow_plaintext') }])
  })

  it('connects to a hypervisor without TLS only if the configuration allows plaintext', async () => {
    await using clear = await startGuest({ name: 'clear', uuid: ID, spice: {} })
    const tokens = { [ALICE]: consoleOf(clear) }
    await using strict = await stand({ tokens, hypervisor: 'allow_plaintext = false' })
    await expect(strict.file(ALICE)).rejects.toThrow('502')
    await using lax = await stand({ tokens, hypervisor: 'allow_plaintext = true' })
    const picture = await through(lax, await lax.file(ALICE))
    expect(differingShare(picture, await clear.screendump())).toBeLessThanOrEqual(TOLERANCE)
  })

  it('sends the configured password to the hypervisor, and never to the viewer', async () => {
    const spice = { tls: { folder: cloud.path }, ticket: 'qemu-ticket' }
    await using locked = await startGuest({ name: 'locked', uuid: ID, spice })
    const tokens = { [ALICE]: consoleOf(locked) }
    await using oriel = await stand({ tokens, hypervisor: 'password = "qemu-ticket"' })
    const file = await oriel.file(ALICE)
    expect(file.text).not.toContain('qemu-ticket')
    const picture = await through(oriel, file)
    expect(differingShare(picture, await locked.screendump())).toBeLessThanOrEqual(TOLERANCE)
    await using keyless = await stand({ tokens })
    await expect(through(keyless, await keyless.file(ALICE))).rejects.toThrow('main channel event')
    expect(keyless.logged('refused')).toMatchObject([{ detail: expect.stringContaining('hypervisor.spice.password') }])
  })

  it('uses a renewed certificate for new connections, and keeps sessions open', async () => {
    await using oriel = await stand()
    const file = await oriel.file(ALICE)
    using main = await linked(oriel, file)
    await using renewed = await temporaryPki()
    oriel.renew(renewed)
    await expect(linked(oriel, file)).rejects.toThrow()
    const ca = `${renewed.path}/ca-cert.pem`
    main.send(104)
    await received(main, 104)
    expect(oriel.proxy.sessions()).toHaveLength(1)
    const picture = await through({ ...oriel, ca }, await oriel.file(ALICE))
    expect(differingShare(picture, await guest.screendump())).toBeLessThanOrEqual(TOLERANCE)
  })

  describe('in remote-viewer', () => {
    let display: Display
    beforeAll(async () => {
      display = parts.use(await startDisplay())
    })
    const shows = () =>
      until(
        async () => bestMatch(await guest.screendump(), await display.picture()),
        (share) => share <= TOLERANCE,
      )

    it('shows the guest, deletes the file, sends a key, and closes with the session', async () => {
      await using oriel = await stand()
      const file = await oriel.file(ALICE)
      await using viewer = await startViewer(display, file.path)
      await shows()
      expect(existsSync(file.path)).toBe(false)
      expect(await display.titles()).toEqual([expect.stringContaining(`Console of ${ID}`)])

      const before = await guest.screendump()
      const opened = () =>
        guest.untilPicture((picture) => differingShare(picture, before) > 0.005, { timeoutMs: 3000 }).catch(() => null)
      // Retries: without a window manager the viewer may miss the first keys.
      for (let tries = 0; tries < 5 && !(await opened()); tries++) await display.press('z', 'Escape')
      expect(differingShare(await guest.screendump(), before)).toBeGreaterThan(0.005)
      await shows()

      using other = await linked(oriel, await oriel.file(BOB))
      expect(other.result).toBe(0)
      expect(await viewer.exited).toBe(0)
    })

    it('asks for a password when the ticket has expired', async () => {
      await using oriel = await stand({ spice: 'first_use_seconds = 1' })
      const file = await oriel.file(ALICE)
      await new Promise((resolve) => setTimeout(resolve, 1100))
      await using _viewer = await startViewer(display, file.path)
      await until(
        () => oriel.logged('refused'),
        (refused) => refused.length > 0,
      )
      await until(
        () => display.titles(),
        (titles) => titles.some((title) => /authentication/i.test(title)),
      )
      expect(oriel.logged('session opened')).toEqual([])
    })
  })
})

async function received(link: SpiceLink, type: number): Promise<void> {
  await until(
    () => link.messages(),
    (messages) => messages.some((message) => message.type === type),
  )
}
