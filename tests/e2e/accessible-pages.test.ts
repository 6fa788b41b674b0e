/** Examines all pages with axe-core, in each state, in both colour schemes and at both sizes; and which language they speak. */
import { createRequire } from 'node:module'
import { requires } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Pages, pageStates, startPages } from './parts/page-states.ts'

const { skip, reason } = requires('chromium')
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

describe.skipIf(skip)(`axe-core in Chromium${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser
  let pages: Pages

  beforeAll(async () => {
    browser = parts.use(await startChromium())
    pages = parts.use(await startPages())
  })
  afterAll(() => parts.disposeAsync())

  it.each<[string, BrowserContextOptions]>([
    ['a light desktop', { viewport: { width: 1280, height: 800 } }],
    ['a dark phone', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: 'dark' }],
  ])('finds nothing on %s', async (_, options) => {
    // The pages allow no scripts but their own. An animation has other contrasts than its end.
    const context = await browser.newContext({ ...options, bypassCSP: true, reducedMotion: 'reduce' })
    const findings: Record<string, string[]> = {}
    for await (const { name, page } of pageStates(context, pages.home)) {
      const found = await examine(page)
      if (found.length > 0) findings[name] = found
    }
    expect(findings).toEqual({})
    await context.close()
  })

  it('speaks the language of the address, and does not show English before', async () => {
    const context = await browser.newContext({ locale: 'fr-CH' })
    const page = await context.newPage()
    const released = Promise.withResolvers<void>()
    let held = 0
    await page.route('**/assets/*.js', async (route) => {
      const response = await route.fetch()
      if ((await response.text()).includes('Konsole wird geöffnet')) {
        held += 1
        await released.promise
      }
      await route.fulfill({ response })
    })
    await page.goto(`${pages.home}?language=de_DE`, { waitUntil: 'commit' })
    await expect.poll(() => held).toBe(1)
    expect(await page.locator('h1').isVisible()).toBe(false)
    released.resolve()
    await page.getByRole('heading', { name: 'Konsolen' }).waitFor()
    await page.getByRole('button', { name: 'Bildschirm von demo' }).waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('de')
    await context.close()
  })

  it.each([
    ['ja-JP', '', 'ja', 'コンソール'],
    ['nl-NL', '?language=zh-hans', 'en', 'Consoles'],
  ])('speaks with a browser in %s and the query "%s" the language %s', async (locale, query, language, title) => {
    const context = await browser.newContext({ locale })
    const page = await context.newPage()
    await page.goto(pages.home + query)
    await page.getByRole('heading', { name: title, exact: true }).waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe(language)
    await context.close()
  })

  it('is English if its language cannot be loaded', async () => {
    const context = await browser.newContext({ locale: 'es-ES' })
    const page = await context.newPage()
    await page.route('**/assets/*.js', async (route) => {
      const response = await route.fetch()
      return (await response.text()).includes('Abriendo la consola') ? route.abort() : route.fulfill({ response })
    })
    await page.goto(pages.home)
    await page.getByRole('heading', { name: 'Consoles', exact: true }).waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('en')
    await context.close()
  })

  it('finds an image without a text, as a control', async () => {
    const page = await (await browser.newContext({ bypassCSP: true })).newPage()
    await page.goto(pages.home)
    await page.evaluate('document.querySelector("main").append(document.createElement("img"))')
    expect(await examine(page)).toEqual([expect.stringMatching(/^image-alt: .*img/)])
    await page.context().close()
  })
})

/** Returns each violation with the elements that have it. */
async function examine(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: axe })
  const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run()')
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`)
}

interface Violation {
  readonly id: string
  readonly help: string
  readonly nodes: readonly { readonly html: string }[]
}
