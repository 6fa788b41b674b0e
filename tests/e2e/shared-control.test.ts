/** Two people in two browsers hand control of a real guest's VNC and serial consoles to each other. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ConsoleRole, closeReasons, refusals } from '@oriel/contract'
import { freePort, type QemuGuest, type RunningProgram, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordAnnouncements } from './parts/accessibility-tree.ts'
import { leaveScreen, moveTo, press as pressKeys, untilAnnounced, untilFocused } from './parts/keyboard.ts'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { canvasOf, complaintsOf, untilShows, untilTerminal } from './parts/page.ts'
import { settled } from './parts/pictures.ts'
import { clientOf, orielAuthority, sessionTables } from './parts/sessions.ts'

const { skip, reason } = requires('qemu', 'chromium')
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const SERIAL_ID = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c02'

describe.skipIf(skip)(`control of a real QEMU guest's console${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browsers: readonly [Browser, Browser]
  let guest: QemuGuest
  let serial: QemuGuest
  let trace: string
  let apiPort: number
  let api: RunningProgram
  let vncPorts: readonly number[]

  beforeAll(async () => {
    trace = join(parts.use(await temporaryFolder()).path, 'trace')
    guest = parts.use(
      await startQemu({ name: 'web-1', uuid: ID, args: ['-trace', 'input_event_key_qcode', '-D', trace] }),
    )
    serial = parts.use(
      await startQemu({
        name: 'serial-1',
        uuid: SERIAL_ID,
        vnc: false,
        serial: true,
        firmware: 'serial',
        paused: true,
      }),
    )
    browsers = [parts.use(await startChromium()), parts.use(await startChromium())]
    const [vncPort, otherVncPort, serialPort] = [await freePort(), await freePort(), await freePort()]
    vncPorts = [vncPort, otherVncPort]
    apiPort = await freePort()
    const servers = [
      { id: ID, name: 'web-1', consoles: { vnc: { host: guest.host, port: guest.vncPort } } },
      { id: SERIAL_ID, name: 'serial-1', consoles: { serial: { host: serial.host, port: serial.serialPort } } },
    ]
    const consoles = { serial: { base_url: `ws://127.0.0.1:${serialPort}/` } }
    api = parts.use(
      await startApp('api', merge(apiConfig(apiPort, vncPort, servers), { consoles, ...sessionTables(apiPort).api })),
    )
    await listening(api)
    const config = merge(proxyConfig(apiPort, vncPort), {
      authority: orielAuthority(apiPort),
      listen: [
        { address: `127.0.0.1:${vncPort}`, consoles: ['novnc'] },
        { address: `127.0.0.1:${serialPort}`, consoles: ['serial'] },
      ],
    })
    await listening(parts.use(await startApp('proxy', config)), 2)
    const other = proxyConfig(apiPort, otherVncPort)
    await listening(parts.use(await startApp('proxy', merge(other, { authority: orielAuthority(apiPort) }))))
  })
  afterAll(() => parts.disposeAsync())

  it('goes from the owner to a watcher who requests it, and back, and with it the keys', async () => {
    const ann = await openAs(browsers[0], 'control', 'Ann')
    const cid = await openAs(browsers[1], 'watch', 'Cid')
    const complaints = [complaintsOf(ann), complaintsOf(cid)]
    await settled(guest)
    await statusOf(ann, 'Connected')
    await statusOf(cid, 'Watching')
    await untilShows(cid, guest)
    expect(await cid.getByRole('button', { name: 'Keys…' }).isDisabled()).toBe(true)
    await press(cid, 'a')
    await press(ann, 'b')
    await expect.poll(keysOfGuest).toEqual(['b', 'b'])

    await cid.getByRole('button', { name: 'People: 2' }).click()
    await cid.getByText('You are watching.').waitFor()
    expect(await cid.getByRole('button', { name: 'Take control' }).count()).toBe(0)
    await cid.getByRole('button', { name: 'Request control' }).click()
    await ann.getByRole('alert').getByText('Cid requests control.').waitFor()
    await ann.getByRole('button', { name: 'Give', exact: true }).click()
    await statusOf(cid, 'Connected')
    await statusOf(ann, 'Watching')
    expect(await ann.getByRole('button', { name: 'Keys…' }).isDisabled()).toBe(true)
    await press(ann, 'c')
    await press(cid, 'd')
    await expect.poll(keysOfGuest).toEqual(['b', 'b', 'd', 'd'])

    await cid.getByRole('button', { name: 'People: 2' }).click()
    await cid.getByRole('button', { name: 'Give back' }).click()
    await statusOf(ann, 'Connected')
    await statusOf(cid, 'Watching')
    await press(cid, 'e')
    await press(ann, 'f')
    await expect.poll(keysOfGuest).toEqual(['b', 'b', 'd', 'd', 'f', 'f'])
    expect(complaints).toEqual([[], []])
    for (const page of [ann, cid]) await page.context().close()
    await expect.poll(spansInTrail, { timeout: 20_000 }).toHaveLength(3)
    const [before, watched, after] = spansInTrail()
    expect([before, watched, after].map((span) => span?.label)).toEqual(['Ann', 'Cid', 'Ann'])
    expect(watched).toMatchObject({ role: 'watch', userId: 'alice', serverId: ID, durationMs: expect.any(Number) })
    expect(after).toMatchObject({ session: before?.session, userId: 'alice' })
  })

  it('is taken by one owner from another, who sees who has it', async () => {
    const ann = await openAs(browsers[0], 'control', 'Ann')
    const bea = await openAs(browsers[1], 'control', 'Bea')
    await statusOf(ann, 'Connected')
    await statusOf(bea, 'Connected')
    await bea.getByRole('button', { name: 'People: 2' }).click()
    await bea.getByText('You have control, and so do others.').waitFor()
    await bea.getByRole('button', { name: 'Take control' }).click()
    await bea.getByText('You alone have control.').waitFor()
    await statusOf(ann, 'Watching')
    await ann.getByRole('button', { name: 'People: 2' }).click()
    await ann.getByText('Bea has control.').waitFor()
    await bea.context().close()
    await ann.getByText('You have control.').waitFor()
    await statusOf(ann, 'Connected')
    await ann.context().close()
  })

  it('goes from an owner to another, and to a watcher, who came through another proxy', async () => {
    const before = await keysOfGuest()
    const keysSince = async () => (await keysOfGuest()).slice(before.length)
    const [ann, bea] = [await openAs(browsers[0], 'control', 'Ann'), await openAs(browsers[1], 'control', 'Bea', 1)]
    for (const page of [ann, bea]) await statusOf(page, 'Connected')
    await ann.getByRole('button', { name: 'People: 2' }).click()
    await ann.getByRole('button', { name: 'Take control' }).click()
    await statusOf(bea, 'Watching')
    await ann.getByText('You alone have control.').waitFor()
    await press(bea, 'g')
    await press(ann, 'h')
    await expect.poll(keysSince).toEqual(['h', 'h'])

    await bea.getByRole('button', { name: 'People: 2' }).click()
    await bea.getByRole('button', { name: 'Take control' }).click()
    await statusOf(ann, 'Watching')
    await statusOf(bea, 'Connected')
    await press(ann, 'i')
    await press(bea, 'j')
    await expect.poll(keysSince).toEqual(['h', 'h', 'j', 'j'])

    const cid = await openAs(browsers[0], 'watch', 'Cid')
    await statusOf(cid, 'Watching')
    await cid.getByRole('button', { name: 'People: 3' }).click()
    await cid.getByText('Bea has control.').waitFor()
    await cid.getByRole('button', { name: 'Request control' }).click()
    await bea.getByRole('alert').getByText('Cid requests control.').waitFor()
    await bea.getByRole('button', { name: 'Give', exact: true }).click()
    await statusOf(cid, 'Connected')
    await statusOf(bea, 'Watching')
    await press(bea, 'k')
    await press(cid, 'l')
    await expect.poll(keysSince).toEqual(['h', 'h', 'j', 'j', 'l', 'l'])
    for (const page of [ann, bea, cid]) await page.context().close()
  })

  it('is not needed by a guest, who watches with a link of a page until it revokes the invitation', async () => {
    const ann = await openAs(browsers[0], 'control', 'Ann')
    const complaints = complaintsOf(ann)
    await statusOf(ann, 'Connected')
    await ann.getByRole('button', { name: 'People: 1' }).click()
    await ann.getByRole('button', { name: 'Invite…' }).click()
    await ann.keyboard.type('Bob')
    await ann.getByRole('radio', { name: 'watch' }).check()
    await ann.keyboard.press('Enter')
    const url = await linkOn(ann)
    await ann.getByRole('button', { name: 'Copy' }).click()
    await ann.getByText(/^(Copied\.|The link is selected)/).waitFor()
    await ann.getByRole('button', { name: 'Done' }).click()
    expect(await ann.locator('#invite-url').inputValue()).toBe('')
    await ann.getByText(/^May watch, link valid until/).waitFor()

    const bob = await openAt(browsers[1], url)
    await statusOf(bob, 'Watching')
    await ann.getByText('May watch, link used').waitFor()
    await bob.getByRole('button', { name: 'People: 2' }).click()
    await bob.getByText('Ann', { exact: true }).waitFor()
    expect(await bob.getByRole('button', { name: /Invite|Revoke/ }).count()).toBe(0)
    const late = await openAt(browsers[1], url)
    await late.getByText(refusals.unknown_token.text.split('. ')[0]!).waitFor()

    await ann.getByRole('button', { name: 'Revoke the invitation of Bob' }).click()
    await bob.getByText(closeReasons.revoked.text).waitFor()
    await ann.getByRole('button', { name: 'People: 1' }).waitFor()
    await ann.getByRole('heading', { name: 'Invitations' }).waitFor({ state: 'hidden' })
    expect(complaints).toEqual([])
    for (const page of [ann, bob, late]) await page.context().close()
  })

  it('is requested, given and dismissed with the keyboard alone, and a screen reader', async () => {
    const [ann, cid] = [await openAs(browsers[0], 'control', 'Ann'), await openAs(browsers[1], 'watch', 'Cid')]
    for (const page of [ann, cid]) await untilFocused(page, /^application/)
    const either = /^Connected$|^The keyboard goes to the machine\./
    await untilAnnounced(ann, either, either)
    // The keyboard of a watcher goes nowhere.
    await untilAnnounced(cid, /^Watching$/)
    await leaveScreen(cid)
    await moveTo(cid, /^button "People: 2"/, 'ArrowRight')
    await pressKeys(cid, 'Enter')
    await untilFocused(cid, /^heading "People"/)

    await moveTo(cid, /^button "Request control"/)
    await pressKeys(cid, 'Enter')
    await untilFocused(cid, /^button "Withdraw request"/)
    await untilAnnounced(ann, /^Cid requests control\.$/)
    await untilFocused(ann, /^application/)
    await leaveScreen(ann)
    await moveTo(ann, /^button "Not now"/)
    await pressKeys(ann, 'Enter')
    await untilFocused(ann, /^application/)

    await pressKeys(cid, 'Enter')
    await untilFocused(cid, /^button "Request control"/)
    await pressKeys(cid, 'Enter')
    await untilAnnounced(ann, /^Cid requests control\.$/)
    await leaveScreen(ann)
    await moveTo(ann, /^button "Give"/)
    await untilFocused(cid, /^button "Withdraw request"/)
    await pressKeys(cid, 'Enter')
    // Not the screen: a key for the notice would reach the machine.
    await untilFocused(ann, /^button "People: 2"/)

    await untilFocused(cid, /^button "Request control"/)
    await pressKeys(cid, 'Enter')
    await untilAnnounced(ann, /^Cid requests control\.$/)
    await moveTo(ann, /^button "Give"/)
    await pressKeys(ann, 'Enter')
    await untilAnnounced(ann, /^Watching$/)
    await untilFocused(ann, /^button "People: 2"/)
    await untilAnnounced(cid, /^Connected$/)
    await untilFocused(cid, /^button "Give back"/)

    await pressKeys(ann, 'Enter')
    await untilFocused(ann, /^heading "People"/)
    await pressKeys(cid, 'Enter')
    await untilAnnounced(ann, /^Connected$/)
    await untilFocused(cid, /^button "Request control"/)
    await moveTo(ann, /^button "Give control to Cid"/)
    await pressKeys(ann, 'Enter')
    await untilFocused(ann, /^region "People"/)
    await untilAnnounced(ann, /^Watching$/)
    await pressKeys(ann, 'Escape')
    await untilFocused(ann, /^button "People: 2"/)
    for (const page of [ann, cid]) await page.context().close()
  })

  it('of a serial port goes to a watcher, whose keys then reach the firmware', async () => {
    const ann = await openAs(browsers[0], 'control', 'Ann', 'serial')
    await statusOf(ann, 'Connected')
    await serial.qmp('cont')
    await untilTerminal(ann, /Press ESC for boot menu/)
    const cid = await openAs(browsers[1], 'watch', 'Cid', 'serial')
    await statusOf(cid, 'Watching')
    await untilTerminal(cid, /Press ESC for boot menu/)
    expect(await cid.getByRole('button', { name: 'Keys…' }).isDisabled()).toBe(true)
    await ann.getByRole('button', { name: 'People: 2' }).click()
    await ann.getByRole('button', { name: 'Give control to Cid' }).click()
    await statusOf(ann, 'Watching')
    await statusOf(cid, 'Connected')
    await cid.locator('oriel-serial').click()
    await cid.keyboard.press('Escape')
    await untilTerminal(ann, /Select boot device:/)
    await untilTerminal(cid, /Select boot device:/)
    for (const page of [ann, cid]) await page.context().close()
  })

  async function openAs(browser: Browser, role: ConsoleRole, label: string, at: 0 | 1 | 'serial' = 0): Promise<Page> {
    const type = at === 'serial' ? ('serial' as const) : ('novnc' as const)
    const [server_id, body] = [type === 'novnc' ? ID : SERIAL_ID, { type, role, label }]
    const { console } = await clientOf(apiPort, MEMBER_TOKEN).oriel.createConsole({ server_id, body })
    const url = new URL(console.url.replace(/^ws:(.*)\/\?/, 'http:$1/serial.html?'))
    if (at !== 'serial') url.port = String(vncPorts[at])
    return openAt(browser, url.href)
  }

  async function openAt(browser: Browser, url: string): Promise<Page> {
    const context = await browser.newContext()
    await recordAnnouncements(context)
    const page = await context.newPage()
    await page.goto(url)
    return page
  }

  /** Returns the link that a page shows once it has invited. */
  async function linkOn(page: Page): Promise<string> {
    const field = page.getByLabel(/^Link, shown only now/)
    await field.waitFor()
    return field.inputValue()
  }

  const statusOf = (page: Page, text: string) =>
    page.locator('#status-text', { hasText: RegExp(`^${text}$`) }).waitFor()

  /** Presses a key on the console, where a click gives the keyboard to it. */
  async function press(page: Page, key: string): Promise<void> {
    await page.keyboard.press('Escape')
    await canvasOf(page).click()
    await page.keyboard.press(key)
  }

  /** The spans of control in the API's audit trail, the earliest first. */
  const spansInTrail = () =>
    api.records
      .filter(({ audit }) => audit === 'control-ended')
      .sort((a, b) => String(a.since).localeCompare(String(b.since)))

  /** The letters whose keys QEMU pressed or released. */
  const keysOfGuest = async () =>
    [...(await readFile(trace, 'utf8')).matchAll(/input_event_key_qcode .*qcode ([a-z])\b/g)].map(([, key]) => key)
})
