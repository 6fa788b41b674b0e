/** The home page with more machines than fit on a page. */
import type { RunningProgram } from '@oriel/testkit'
import { freePort, requires } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordAnnouncements } from './parts/accessibility-tree.ts'
import { moveTo, press, untilAnnounced, untilFocused } from './parts/keyboard.ts'
import { apiConfig, MEMBER_TOKEN, merge, READER_TOKEN, startApp } from './parts/oriel.ts'
import { complaintsOf } from './parts/page.ts'

const { skip, reason } = requires('chromium')
const address = { host: '127.0.0.1', port: 5901 }
const idOf = (i: number) => `52b2e44e-e561-464c-88f3-${String(i).padStart(12, '0')}`
const servers = Array.from({ length: 60 }, (_, i) => ({
  id: idOf(i),
  name: i % 2 === 0 ? `web-${i}` : `db-${i}`,
  status: i === 7 ? 'SHUTOFF' : 'ACTIVE',
  consoles: i % 2 === 0 ? { vnc: address, serial: address } : i === 9 ? {} : { vnc: address },
}))

describe.skipIf(skip)(`the list of machines${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser
  let oriel: RunningProgram
  let home: string

  beforeAll(async () => {
    const apiPort = await freePort()
    const { consoles: _, ...api } = apiConfig(0, 0, servers)
    oriel = parts.use(
      await startApp('oriel', {
        api: merge(api, { listen: `127.0.0.1:${apiPort}` }),
        proxy: { listen: [{ address: '127.0.0.1:0', consoles: ['novnc', 'serial'] }] },
      }),
    )
    const { msg } = await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
    home = String(msg).slice('open '.length)
    browser = parts.use(await startChromium())
  })
  afterAll(() => parts.disposeAsync())

  /** Opens the page and signs in. */
  async function open(query = '', token = MEMBER_TOKEN): Promise<Page> {
    const page = await browser.newPage()
    await recordAnnouncements(page.context())
    await page.goto(home + query)
    await page.getByLabel('Token').fill(token)
    await page.getByRole('button', { name: 'Show my machines' }).click()
    await page.getByRole('listitem').first().waitFor()
    return page
  }
  const namesOn = (page: Page) => page.locator('.server .name').allTextContents()

  it('has pages, by name, and the address keeps the page', async () => {
    const page = await open()
    const complaints = complaintsOf(page)
    expect((await namesOn(page)).slice(0, 3)).toEqual(['db-1', 'db-3', 'db-5'])
    await page.getByText('1–50 of 60').waitFor()
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('51–60 of 60').waitFor()
    expect((await namesOn(page)).at(-1)).toBe('web-58')
    expect(new URL(page.url()).search).toBe('?page=2')
    await page.goBack()
    await page.getByText('1–50 of 60').waitFor()
    expect(complaints).toEqual([])
    await page.close()
  })

  it('is searched by typing, and opens with the search of its address', async () => {
    const page = await open()
    // Signing in leaves the focus in the search field, where this key would be text.
    await page.getByRole('heading', { level: 1 }).click()
    await page.keyboard.press('/')
    await page.keyboard.type('web-4')
    await page.getByText('6 machines match').waitFor()
    expect(await namesOn(page)).toEqual(['web-4', 'web-40', 'web-42', 'web-44', 'web-46', 'web-48'])
    const again = await open(new URL(page.url()).search)
    expect(await namesOn(again)).toEqual(await namesOn(page))
    await page.getByLabel('Search by name or id').fill('nothing')
    await page.getByRole('button', { name: 'Show all machines' }).click()
    await page.getByText('60 machines', { exact: true }).waitFor()
    await page.close()
    await again.close()
  })

  it('has buttons only for consoles that a machine has', async () => {
    const page = await open('?search=-1')
    const buttonsOf = (name: string) => page.getByRole('button', { name: new RegExp(` of ${name}$`) }).allTextContents()
    expect(await buttonsOf('web-10')).toEqual(['Screen', 'Serial'])
    expect(await buttonsOf('db-1')).toEqual(['Screen'])
    await page.getByLabel('Search by name or id').fill('db-9')
    await page.getByText('1 machine matches').waitFor()
    expect(await page.getByRole('listitem').innerText()).toContain('No console')
    expect(await buttonsOf('db-9')).toEqual([])
    await page.close()
  })

  it('says why no console of a machine that is off can be opened, and opens none', async () => {
    const page = await open('?status=SHUTOFF')
    expect(await namesOn(page)).toEqual(['db-7'])
    const button = page.getByRole('button', { name: 'Screen of db-7' })
    expect(await button.getAttribute('aria-disabled')).toBe('true')
    const described = page.locator(`[id="${await button.getAttribute('aria-describedby')}"]`)
    expect(await described.textContent()).toMatch(/^The machine is off\./)
    await button.focus()
    await page.keyboard.press('Enter')
    expect(page.context().pages()).toHaveLength(1)
    await page.close()
  })

  it('shows the screens in view, two at a time, and says why a machine has none', async () => {
    const page = await open()
    const complaints = complaintsOf(page)
    const screens = await answerScreens(page)
    await page.getByLabel('Show screens').check()
    await page.getByRole('img', { name: /^Screen of db-1 at / }).waitFor()
    const slotOf = (name: string) => page.getByRole('listitem').filter({ hasText: name }).locator('.screen')
    expect(await slotOf('db-7').textContent()).toBe('The machine is off.')
    expect(await slotOf('db-9').textContent()).toBe('No VNC console.')
    await slotOf('db-3')
      .getByText(/^Too many screens were loaded\. Refresh again from /)
      .waitFor()
    const url = new URL(page.url())
    expect(url.search).toBe('?screens=1')
    expect(screens.requested).not.toContain(idOf(38))
    await slotOf('web-38').scrollIntoViewIfNeeded()
    await page.getByRole('img', { name: /^Screen of web-38 at / }).waitFor()
    expect([screens.requested.filter((id) => id === idOf(1)).length, screens.mostAtOnce()]).toEqual([1, 2])

    const before = await page.getByRole('img', { name: /^Screen of db-1 at / }).getAttribute('src')
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.locator(`img[src="${before}"]`).waitFor({ state: 'detached' })
    expect(complaints.filter((text) => !text.includes('429'))).toEqual([])
    expect(await isReleased(page, before!)).toBe(true)
    await page.getByLabel('Show screens').uncheck()
    await expect.poll(() => page.getByRole('img', { name: /^Screen of / }).count()).toBe(0)
    expect(new URL(page.url()).search).toBe('')
    await page.close()
  })

  it('offers no screens to a user who may not see them', async () => {
    const page = await open('?screens=1', READER_TOKEN)
    expect(await page.getByLabel('Show screens').isVisible()).toBe(false)
    expect(await page.locator('.screen:visible').count()).toBe(0)
    await page.close()
  })

  it('is turned page by page with the keyboard alone, and a screen reader', async () => {
    const page = await open()
    await untilFocused(page, /^searchbox "Search by name or id"/)
    await untilAnnounced(page, /^60 machines$/)
    await press(page, 'ArrowDown')
    await untilFocused(page, /^button "Screen of db-1"/)
    await press(page, 'End')
    await untilFocused(page, /^button "Screen of web-38"/)
    await press(page, 'Home')
    await untilFocused(page, /^button "Screen of db-1"/)
    await press(page, 'End')
    await moveTo(page, /^button "Next"/)
    await press(page, 'Enter')
    await untilAnnounced(page, /^51–60 of 60$/)
    await untilFocused(page, /^button "Previous"/)
    await page.goBack()
    await untilAnnounced(page, /^1–50 of 60$/)
    await untilFocused(page, /^button "Next"/)
    await press(page, 'Enter')
    await untilAnnounced(page, /^51–60 of 60$/)
    await untilFocused(page, /^button "Previous"/)
    await press(page, 'Enter')
    await untilAnnounced(page, /^1–50 of 60$/)
    await untilFocused(page, /^button "Next"/)
    await page.close()
  })

  it('moves the focus between consoles by arrow keys', async () => {
    const page = await open('?search=web-1')
    await page.getByLabel('Search by name or id').press('ArrowDown')
    for (const key of ['ArrowDown', 'ArrowRight', 'ArrowUp']) await page.keyboard.press(key)
    expect(await page.locator(':focus').getAttribute('aria-label')).toBe('Serial of web-10')
    await page.close()
  })
})

/** A picture of one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/**
 * Answers the page's requests for screens instead of the API: with a picture, except for db-3, whose project has used up its
 * budget. Each answer waits until the page has had the time to send a request too many.
 */
async function answerScreens(page: Page) {
  const requested: string[] = []
  let running = 0
  let most = 0
  await page.route('**/screenshot', async (route) => {
    const id = new URL(route.request().url()).pathname.split('/').at(-2)!
    requested.push(id)
    running += 1
    most = Math.max(most, running)
    await page.evaluate('new Promise(requestAnimationFrame)')
    running -= 1
    const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Retry-After' }
    if (id !== idOf(3)) return route.fulfill({ body: PNG, contentType: 'image/png', headers })
    const fault = { overLimit: { code: 429, message: 'This project has asked for too many screenshots.' } }
    return route.fulfill({ status: 429, json: fault, headers: { ...headers, 'Retry-After': '31' } })
  })
  return { requested, mostAtOnce: () => most }
}

/** Whether the object URL leads to no picture any more. */
const isReleased = (page: Page, url: string) =>
  page.evaluate<boolean>(
    `new Promise((resolve) => {
      const image = new Image()
      image.onload = () => resolve(false)
      image.onerror = () => resolve(true)
      image.src = ${JSON.stringify(url)}
    })`,
  )
