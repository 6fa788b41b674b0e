/** The console pages when the files that they load later are out of reach, as after an upgrade of the proxy. */
import { freePort, requires, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Pair, startPair } from './parts/oriel.ts'
import { serveScreen } from './parts/rfb.ts'

const { skip, reason } = requires('chromium')
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const SENTENCE = 'A part of this page could not be loaded. Try again, or reload the page.'

describe.skipIf(skip)(`a page whose parts cannot be loaded${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser
  let oriel: Pair
  let page: Page

  beforeAll(async () => {
    browser = parts.use(await startChromium())
    const screen = parts.use(await scriptedServer(serveScreen))
    const port = parts.use(await scriptedServer((peer) => peer.closed({ timeoutMs: 600_000 })))
    const [vncPort, serialPort] = [await freePort(), await freePort()]
    oriel = parts.use(
      await startPair({
        servers: [{ id: ID, name: 'web-1', consoles: { vnc: addressOf(screen), serial: addressOf(port) } }],
        publicPort: vncPort,
        api: { consoles: { serial: { base_url: `http://127.0.0.1:${serialPort}/serial.html` } } },
        proxy: {
          listen: [
            { address: `127.0.0.1:${vncPort}`, consoles: ['novnc'] },
            { address: `127.0.0.1:${serialPort}`, consoles: ['serial'] },
          ],
        },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())
  beforeEach(async () => {
    page = await browser.newPage()
  })
  afterEach(() => page.close())

  const open = async (type: 'novnc' | 'serial', query = '') => {
    const { url } = await oriel.client.createConsole(ID, type)
    await page.goto(url + query, { waitUntil: 'networkidle' })
    await page.locator('#status[data-state="connected"]').waitFor()
  }
  const lose = () => page.route('**/assets/*.js', (route) => route.fulfill({ status: 404 }))
  const find = () => page.unroute('**/assets/*.js')
  const notice = () => page.getByRole('alert').getByText(SENTENCE)
  const button = (name: string) => page.getByRole('button', { name, exact: true })

  it('says so, closes the panel that would do nothing, and opens it once the part is there', async () => {
    await open('serial')
    await lose()
    await button('View…').click()
    await notice().waitFor()
    expect(await page.locator('#view-panel').isVisible()).toBe(false)
    await button('Close').click()
    await notice().waitFor({ state: 'hidden' })
    await button('View…').click()
    await notice().waitFor()
    await find()
    await button('View…').click()
    await button('Larger font').click()
    await expect.poll(() => page.locator('#font-size').textContent()).toBe('15')
  })

  it('keeps the text that it cannot type, and types it once the layouts are there', async () => {
    await open('novnc')
    await lose()
    await button('Type text…').click()
    await notice().waitFor()
    await page.getByRole('textbox', { name: 'Text to type' }).fill('ls')
    await button('Type it').click()
    expect(await page.getByRole('textbox', { name: 'Text to type' }).inputValue()).toBe('ls')
    await find()
    await button('Type it').click()
    await page.locator('#type-note').getByText('Typed.').waitFor()
  })

  it('speaks the language of the page, and reloads it when told to', async () => {
    await open('serial', '&language=de')
    await lose()
    await page.locator('#view-button').click()
    await page.getByRole('alert').getByText('Ein Teil dieser Seite konnte nicht geladen werden.').waitFor()
    await find()
    await Promise.all([page.waitForEvent('load'), button('Neu laden').click()])
    await page.locator('#status[data-state="connected"]').waitFor()
  })
})

const addressOf = ({ host, port }: ScriptedServer) => ({ host, port })
