/** Leads each page of `oriel --demo` through its states, for checks that look at all of them. */
import { freePort, startProgram, temporaryFolder } from '@oriel/testkit'
import type { BrowserContext, Locator, Page } from 'playwright-core'
import { programFile } from './oriel.ts'
import { opened } from './page.ts'

/** A page in one of its states. It stays so until the next one is asked for. */
export interface PageState {
  /** Such as `vnc keys-panel`. */
  readonly name: string
  readonly page: Page
}

export interface Pages extends AsyncDisposable {
  readonly home: string
}

/** Starts the demo, whose proxy serves the page for SPICE as well. */
export async function startPages(): Promise<Pages> {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await temporaryFolder())
  const [apiPort, proxyPort] = [await freePort(), await freePort()]
  const env = {
    ORIEL_API__LISTEN: `127.0.0.1:${apiPort}`,
    ORIEL_PROXY__LISTEN__0__ADDRESS: `127.0.0.1:${proxyPort}`,
    ORIEL_PROXY__LISTEN__0__CONSOLES: '["novnc", "serial", "spice-html5"]',
  }
  const oriel = parts.use(await startProgram({ file: programFile('oriel'), args: ['--demo'], env, cwd: folder.path }))
  await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
  return { home: `http://127.0.0.1:${proxyPort}/`, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/**
 * Yields the list of machines, then each console with a panel that cannot be loaded, with each of its panels open, and then
 * ended. The pages may be in any language.
 * @param query of the address of the list, such as `?language=de`
 */
export async function* pageStates(context: BrowserContext, home: string, query = ''): AsyncGenerator<PageState> {
  const list = await context.newPage()
  await list.goto(home + query)
  const demo = list.locator('.server').filter({ has: list.locator('.name', { hasText: /^demo$/ }) })
  const consoles = demo.locator('.consoles button')
  await consoles.first().waitFor()
  yield { name: 'list', page: list }
  await list.locator('#screens').check()
  await demo.locator('.screen img').waitFor()
  yield { name: 'list screens', page: list }
  for (const [name, place] of Object.entries({ vnc: 0, serial: 1 })) {
    const page = await opened(list, () => consoles.nth(place).click())
    await untilState(page, 'connected')
    yield { name, page }
    yield* missingPartState(name, page)
    yield* panelStates(name, page)
    await page.locator('#status-text').click()
    await page.locator('#session-leave').click()
    await untilState(page, 'ended')
    yield { name: `${name} ended`, page }
    await page.close()
  }
  const refused = await context.newPage()
  for (const [name, path] of Object.entries({ vnc: 'novnc/vnc_lite.html', spice: 'spice-html5/spice_auto.html' })) {
    await refused.goto(new URL(path + query, home).href)
    await untilState(refused, 'ended')
    yield { name: `${name} refused`, page: refused }
  }
  await refused.close()
  await list.close()
}

const untilState = (page: Page, state: string) => page.locator(`#status[data-state=${state}]`).waitFor()

/** Opens a panel whose code cannot be loaded. The code of the notice has to be there. */
async function* missingPartState(name: string, page: Page): AsyncGenerator<PageState> {
  await page.waitForLoadState('networkidle')
  await page.route('**/assets/*.js', (route) => route.fulfill({ status: 404 }))
  await toggle(page.locator('#view-panel'), true)
  const notice = page.locator('.notice:popover-open')
  await notice.waitFor()
  yield { name: `${name} missing part`, page }
  await page.unroute('**/assets/*.js')
  await toggle(notice, false)
}

async function* panelStates(name: string, page: Page): AsyncGenerator<PageState> {
  for (const panel of await page.locator('.panel').all()) {
    const id = await panel.getAttribute('id')
    await toggle(panel, true)
    await panel.waitFor()
    yield { name: `${name} ${id}`, page }
    await toggle(panel, false)
  }
}

/** Shows or hides a popover, without a mouse, over which the screen would show the pointer of its machine. */
const toggle = (popover: Locator, open: boolean) =>
  popover.evaluate((element, open) => {
    ;(element as unknown as { togglePopover(open: boolean): void }).togglePopover(open)
  }, open)
