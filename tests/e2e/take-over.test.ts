/** Two people in two browsers take an exclusive console of a real guest over from each other, with the button on the page. */
import { freePort, type QemuGuest, requires, startQemu } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { complaintsOf, untilShows } from './parts/page.ts'
import { BEAT_SECONDS, clientOf, orielAuthority } from './parts/sessions.ts'

const { skip, reason } = requires('qemu', 'chromium')
const ID = '0e7c40e1-5f0a-4c43-8d33-7f3f6e1b7f10'

describe.skipIf(skip)(`an exclusive console of a real QEMU guest${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser
  let guest: QemuGuest
  let apiPort: number
  let otherVncPort: number

  beforeAll(async () => {
    guest = parts.use(await startQemu({ name: 'web-1', uuid: ID, serial: true }))
    browser = parts.use(await startChromium())
    const [vncPort, serialPort] = [await freePort(), await freePort()]
    apiPort = await freePort()
    otherVncPort = await freePort()
    const { host } = guest
    const consoles = { vnc: { host, port: guest.vncPort }, serial: { host, port: guest.serialPort } }
    const api = merge(apiConfig(apiPort, vncPort, [{ id: ID, name: 'web-1', consoles }]), {
      consoles: { serial: { base_url: `ws://127.0.0.1:${serialPort}/` } },
      sessions: { beat_seconds: BEAT_SECONDS },
    })
    await listening(parts.use(await startApp('api', api)))
    const proxy = merge(proxyConfig(apiPort, vncPort), {
      authority: orielAuthority(apiPort),
      sessions: { share: 'exclusive' },
      listen: [
        { address: `127.0.0.1:${vncPort}`, consoles: ['novnc'] },
        { address: `127.0.0.1:${serialPort}`, consoles: ['serial'] },
      ],
    })
    await listening(parts.use(await startApp('proxy', proxy)), 2)
    const other = merge(proxyConfig(apiPort, otherVncPort), {
      authority: orielAuthority(apiPort),
      sessions: { share: 'exclusive' },
    })
    await listening(parts.use(await startApp('proxy', other)))
  })
  afterAll(() => parts.disposeAsync())

  it.each([
    ['novnc', (page: Page) => untilShows(page, guest)],
    ['serial', () => undefined],
  ] as const)('goes to the second viewer of %s who takes it over, and back to the first', async (type, untilOpen) => {
    const ann = await openAs(type, 'Ann')
    await statusOf(ann, 'Connected')
    await untilOpen(ann)
    const bea = await openAs(type, 'Bea')
    const complaints = [complaintsOf(ann), complaintsOf(bea)]
    await bea.getByText('Another client has this console.').waitFor()
    await bea.getByRole('button', { name: 'Try again' }).click()
    await bea.getByText('Another client has this console.').waitFor()
    await statusOf(ann, 'Connected')

    await bea.getByRole('button', { name: 'Take over' }).click()
    await statusOf(bea, 'Connected')
    await untilOpen(bea)
    await ann.getByText('Bea took this console over.').waitFor()
    expect(await ann.getByRole('button', { name: 'Try again' }).count()).toBe(0)

    await ann.getByRole('button', { name: 'Take over' }).click()
    await statusOf(ann, 'Connected')
    await untilOpen(ann)
    await bea.getByText('Ann took this console over.').waitFor()
    await statusOf(bea, 'Not connected')
    // noVNC reports each refusal to the browser's console.
    expect(complaints.flat().filter((text) => !text.includes('reason: in_use: '))).toEqual([])
    for (const page of [ann, bea]) await page.context().close()
  })

  it('is taken over by a method of the element, and the page of the earlier viewer leaves it at that', async () => {
    const ann = await openAs('novnc', 'Ann')
    await statusOf(ann, 'Connected')
    const bea = await openAs('novnc', 'Bea')
    await statusOf(bea, 'Not connected')
    await bea.locator('oriel-vnc').evaluate((element) => (element as unknown as { takeOver(): void }).takeOver())
    await statusOf(bea, 'Connected')
    await statusOf(ann, 'Not connected')
    await bea.reload()
    await statusOf(bea, 'Connected')
    await statusOf(ann, 'Not connected')
    for (const page of [ann, bea]) await page.context().close()
  })

  it('goes to a viewer at another proxy who takes it over, and back', async () => {
    // Until the API knows that the sessions of the test before have ended, it may name one of them.
    const { oriel } = clientOf(apiPort, MEMBER_TOKEN)
    await expect.poll(async () => (await oriel.listSessions({ query: { state: 'open' } })).sessions).toEqual([])
    const ann = await openAs('novnc', 'Ann')
    await statusOf(ann, 'Connected')
    const bea = await openAs('novnc', 'Bea', otherVncPort)
    await bea.getByText('Ann has this console.').waitFor()
    await statusOf(ann, 'Connected')
    await bea.getByRole('button', { name: 'Take over' }).click()
    await statusOf(bea, 'Connected')
    await statusOf(ann, 'Not connected')
    await untilShows(bea, guest)
    await ann.getByRole('button', { name: 'Take over' }).click()
    await statusOf(ann, 'Connected')
    await statusOf(bea, 'Not connected')
    for (const page of [ann, bea]) await page.context().close()
  })

  /** @param port that of another proxy than the URL's */
  async function openAs(type: 'novnc' | 'serial', label: string, port?: number): Promise<Page> {
    const body = { type, role: 'control', label } as const
    const { console } = await clientOf(apiPort, MEMBER_TOKEN).oriel.createConsole({ server_id: ID, body })
    const page = await (await browser.newContext()).newPage()
    const url = new URL(console.url.replace(/^ws:(.*)\/\?/, 'http:$1/serial.html?'))
    if (port !== undefined) url.port = String(port)
    await page.goto(url.href)
    return page
  }

  const statusOf = (page: Page, text: string) =>
    page.locator('#status-text', { hasText: RegExp(`^${text}$`) }).waitFor()
})
