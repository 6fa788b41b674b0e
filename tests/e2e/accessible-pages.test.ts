/** Examines all pages with axe-core, in each state, in both colour schemes and at both sizes; and which language they speak. */
import { createRequire } from 'node:module'
import { requires } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { announced, namedNodes, recordAnnouncements } from './parts/accessibility-tree.ts'
import { leaveScreen, moveTo, press, untilAnnounced, untilFocused } from './parts/keyboard.ts'
import { opened, untilTerminal } from './parts/page.ts'
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

  describe('with the keyboard alone, and a screen reader,', () => {
    let list: Page

    beforeAll(async () => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
      await recordAnnouncements(context)
      list = await context.newPage()
      await list.goto(pages.home)
      await list.getByRole('button', { name: 'Screen of demo', exact: true }).waitFor()
    })

    it('the list of machines is searched and filtered, and shows screens', async () => {
      await untilAnnounced(list, /^2 machines$/)
      await press(list, '/')
      await untilFocused(list, /^searchbox "Search by name or id"/)
      await list.keyboard.type('nothing')
      await untilAnnounced(list, /^0 machines match$/)
      await moveTo(list, /^button "Show all machines"/)
      await press(list, 'Enter')
      await untilFocused(list, /^searchbox/)
      await untilAnnounced(list, /^2 machines$/)
      await moveTo(list, /^combobox "Status"/)
      await press(list, 'ArrowDown', 'ArrowUp', 'Tab')
      await untilFocused(list, /^checkbox "Show screens" checked=false/)
      await press(list, 'Space')
      await expect.poll(() => namedNodes(list)).toContainEqual(expect.stringMatching(/^image "Screen of demo at /))
      await press(list, 'Space')
    })

    it('a screen is opened, left, given keys and text, and closed', async () => {
      await moveTo(list, /^button "Screen of demo"/)
      const page = await opened(list, () => press(list, 'Enter'))
      await untilFocused(page, /^application "Screen of demo\b.*Ctrl\+Alt\+Shift leaves it\."/)
      const either = /^Connected$|Ctrl\+Alt\+Shift leaves it/
      await untilAnnounced(page, either, either)
      await leaveScreen(page)
      await untilFocused(page, /^button "Keys…" expanded=false/)

      await press(page, 'Enter')
      await untilFocused(page, /^button "Ctrl" pressed=false/)
      await press(page, 'Space')
      await untilFocused(page, /^button "Ctrl" pressed=true/)
      await moveTo(page, /^button "Esc"/)
      await press(page, 'Enter')
      await expect.poll(() => namedNodes(page)).toContain('button "Ctrl" pressed=false')
      await press(page, 'Escape')
      await untilFocused(page, /^button "Keys…" expanded=false/)

      await press(page, 'ArrowRight', 'Enter')
      await untilFocused(page, /^textbox "Text to type"/)
      await page.keyboard.insertText('x'.repeat(2000))
      await press(page, 'Control+Enter')
      await untilAnnounced(page, /^Typing\./)
      await moveTo(page, /^button "Stop"/)
      await press(page, 'Enter')
      await untilAnnounced(page, /^Stopped\./)
      await untilFocused(page, /^textbox "Text to type"/)
      await press(page, 'Control+A')
      await page.keyboard.insertText('y'.repeat(150))
      await press(page, 'Control+Enter')
      await untilAnnounced(page, /^Typing\./)
      await press(page, 'Escape')
      await untilFocused(page, /^button "Type text…"/)
      await untilAnnounced(page, /^Typing\. .*Stop$/, /^Typed\./)

      await press(page, 'ArrowRight', 'Enter')
      await untilFocused(page, /^textbox "Clipboard text"/)
      await page.keyboard.type('hello')
      await moveTo(page, /^button "Send to the machine"/)
      await press(page, 'Enter')
      await untilAnnounced(page, /^Sent\.$/)
      await press(page, 'Escape')
      await untilFocused(page, /^button "Clipboard"/)

      await press(page, 'ArrowRight', 'Enter')
      await untilFocused(page, /^heading "View"/)
      await moveTo(page, /^radio "Fit to the window" checked=true/)
      await press(page, 'ArrowDown')
      await untilFocused(page, /^radio "Actual size" checked=true/)
      await press(page, 'Escape')
      await untilFocused(page, /^button "View…"/)

      await press(page, 'End')
      await untilFocused(page, /^button "Full screen" pressed=false/)
      await press(page, 'Enter')
      await untilFocused(page, /^application "Screen of demo/)
      await leaveScreen(page)
      await untilFocused(page, /^button "Keys…"/)
      await press(page, 'End')
      await untilFocused(page, /^button "Full screen" pressed=true/)
      await press(page, 'Enter')
      await untilFocused(page, /^button "Full screen" pressed=false/)

      await moveTo(page, /^button "Connected"/, 'Shift+Tab')
      await press(page, 'Enter')
      await untilFocused(page, /^heading "This session"/)
      await moveTo(page, /^button "Leave"/)
      await press(page, 'Enter')
      await untilFocused(page, /^button "Not connected"/)
      await untilAnnounced(page, /Reconnect$/)
      await moveTo(page, /^button "Reconnect"/)
      await press(page, 'Enter')
      await untilFocused(page, /^application "Screen of demo/)
      await untilAnnounced(page, /^Opening the console…$/, /^Connected$/)

      await page.evaluate('document.querySelector("oriel-vnc").disconnect()')
      // The card has the focus, without a name: its live region says the text.
      await untilFocused(page, /^group ""/)
      await untilAnnounced(page, /Reconnect$/)
      await press(page, 'Tab')
      await untilFocused(page, /^button "Reconnect"/)
      await page.close()
    })

    it('people share a screen, and each hears who has control', async () => {
      const consoles = [
        await opened(list, () => press(list, 'Enter')),
        await opened(list, () => press(list, 'Enter')),
      ] as const
      const [owner, other] = consoles
      for (const page of consoles) {
        await untilFocused(page, /^application "Screen of demo/)
        await untilAnnounced(page, /^Connected$/)
        await leaveScreen(page)
        await press(page, 'End', 'ArrowLeft')
        await untilFocused(page, /^button "People: \d"/)
        await press(page, 'Enter')
        await untilFocused(page, /^heading "People"/)
      }
      await moveTo(owner, /^button "Take control"/)
      await press(owner, 'Enter')
      await untilAnnounced(other, /^Watching$/)
      await moveTo(other, /^button "(Request|Take) control"/)
      await press(owner, 'Escape')
      await untilFocused(owner, /^button "People: \d"/)
      await moveTo(owner, /^application/)
      await moveTo(other, /^button "Invite…"/)
      await press(other, 'Enter')
      await untilFocused(other, /^textbox "Name of the guest, which others see"/)
      await moveTo(other, /^button "Create link"/)
      await press(other, 'Enter')
      await untilFocused(other, /^button "Copy"/)
      await press(other, 'Enter')
      await untilAnnounced(other, /^Creating the link…$/, /^Copied\.$|^The link is selected/)
      await moveTo(other, /^button "Revoke the invitation/, 'Shift+Tab')
      await press(other, 'Enter')
      await untilFocused(other, /^button "Done"|^button "Copy"|^textbox/)
      await untilAnnounced(other, /^Revoked\.$/)
      await other.close()

      await owner.close()
    })

    it('a session is ended in the list of sessions', async () => {
      // A refresh aborts the one before, so each is given time.
      const untilListed = (sessions: number) =>
        expect
          .poll(() => press(list, 'Enter').then(() => list.locator('.sessions li').count()), { interval: 500 })
          .toBe(sessions)
      const openAgain = /^button "Screen of demo"/
      await moveTo(list, /^button "Refresh"/, 'Shift+Tab')
      // The sessions of the earlier consoles stay in the list until the proxy has reported their end.
      await untilListed(0)
      await moveTo(list, openAgain)
      const page = await opened(list, () => press(list, 'Enter'))
      await untilFocused(page, /^application "Screen of demo/)
      await untilAnnounced(page, /^Connected$/)
      await untilFocused(list, openAgain)
      await moveTo(list, /^button "Refresh"/, 'Shift+Tab')
      await untilListed(1)
      await announced(list)
      await moveTo(list, /^DisclosureTriangle "1 session"/)
      await press(list, 'Enter')
      await moveTo(list, /^button "End: session of anonymous at demo"/)
      await press(list, 'Enter')
      await untilFocused(list, /^button "Really end\?: session of anonymous at demo"/)
      await press(list, 'Enter')
      await untilAnnounced(list, /^The session of anonymous was ended\.$/)
      // The proxy ends it within a heartbeat.
      await page.getByText('ended this session').waitFor()
      await untilAnnounced(page, /ended this session/)
      await list.locator('.sessions li').waitFor({ state: 'detached' })
      await untilFocused(list, openAgain)
      await page.close()
    })

    it('a terminal is read, searched, pasted into and cleared', async () => {
      await press(list, 'ArrowRight')
      const page = await opened(list, () => press(list, 'Enter'))
      await untilFocused(page, /^textbox "Terminal of the machine\. Ctrl\+Alt\+Shift leaves it\."/)
      await untilAnnounced(page, /^Connected$/)
      await untilTerminal(page, /demo\$/)
      await leaveScreen(page)
      await untilFocused(page, /^button "Keys…" expanded=false/)
      await press(page, 'Enter')
      await untilFocused(page, /^heading "Keys"/)
      await moveTo(page, /^button "Esc"/)
      await moveTo(page, /^button "Enter"/, 'ArrowRight')
      await press(page, 'Enter')
      await untilTerminal(page, /demo\$\s+demo\$/)
      await press(page, 'Escape')
      await untilFocused(page, /^button "Keys…"/)

      await press(page, 'ArrowRight', 'Enter')
      await untilFocused(page, /^textbox "Text to paste"/)
      await page.keyboard.insertText('help\u001b\n')
      await untilAnnounced(page, /^Control characters are taken out: ESC\./)
      await press(page, 'Control+Enter')
      await untilFocused(page, /^textbox "Terminal of the machine/)
      await untilTerminal(page, /demo\$ help/)
      await leaveScreen(page)

      await press(page, 'ArrowRight', 'ArrowRight', 'Enter')
      await untilFocused(page, /^textbox "Text of the terminal"/)
      await press(page, 'Escape', 'ArrowRight')
      await untilFocused(page, /^button "Clear"/)
      await press(page, 'Enter')
      await untilFocused(page, /^textbox "Terminal of the machine/)
      await untilAnnounced(page, /^Pasting…$/, /^The terminal is cleared\. Undo Close$/)
      await leaveScreen(page)
      await moveTo(page, /^button "Undo"/)
      await press(page, 'Enter')
      await untilFocused(page, /^textbox "Terminal of the machine/)
      await untilTerminal(page, /demo\$ help/)

      await leaveScreen(page)
      await moveTo(page, /^button "View…"/, 'ArrowRight')
      await press(page, 'Enter')
      await untilFocused(page, /^searchbox "Find in the output"/)
      await page.keyboard.type('nowhere')
      await press(page, 'Enter')
      await untilAnnounced(page, /^Not in the output\.$/)
      await moveTo(page, /^checkbox "Screen readers read the output" checked=false/)
      await press(page, 'Space', 'Escape')
      await untilFocused(page, /^button "View…"/)
      await moveTo(page, /^textbox "Terminal/)
      await page.keyboard.type('uptime')
      await press(page, 'Enter')
      await expect.poll(() => page.locator('oriel-serial .live-region').textContent()).not.toBe('')
      await page.getByRole('listitem').filter({ hasText: 'demo$ uptime' }).waitFor()
      await page.close()
    })
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
