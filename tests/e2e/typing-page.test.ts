/** Types a text into a real Linux by the panel of the console page, and compares what arrives. */
import { requires } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requiresLinux } from './parts/linux-guest.ts'
import { canvasOf } from './parts/page.ts'
import { arrivedIn, id, linesOf, sha256, startTypingGuest, type TypingGuest } from './parts/typing-guest.ts'

const qemu = requires('qemu')
const chromium = requires('chromium')
const linux = requiresLinux()
const reasons = `${qemu.reason}${linux.reason}${chromium.reason}`

/** `TYPED_CHARACTERS=5000` types more. */
const LONG_CHARACTERS = Number(process.env.TYPED_CHARACTERS ?? 700)
const LONG_TIMEOUT_MS = 200_000

describe.skipIf(qemu.skip || linux.skip || chromium.skip)(`typing by the console page${reasons}`, () => {
  const parts = new AsyncDisposableStack()
  let machine: TypingGuest
  let browser: Browser

  beforeAll(async () => {
    machine = parts.use(await startTypingGuest({ keyDelayMs: 0 }))
    browser = parts.use(await startChromium())
    await machine.guest.run('loadkeys -q -C /dev/tty1 de-latin1')
  })
  afterAll(() => parts.disposeAsync())

  it('types a long text on the chosen layout, with Caps Lock on, its panel closed, and a key pressed meanwhile', {
    timeout: LONG_TIMEOUT_MS,
  }, async () => {
    const page = await openPage()
    await machine.screen.press('CapsLock')
    await expect.poll(() => machine.screen.leds?.capsLock).toBe(true)
    const text = umlautFile(LONG_CHARACTERS)
    await type(page, text, 'loadkeys-de-latin1')
    await page.keyboard.press('Escape')
    await canvasOf(page).click()
    await page.keyboard.press('x')
    await page.getByRole('progressbar').waitFor()
    await page.getByRole('progressbar').waitFor({ state: 'hidden', timeout: LONG_TIMEOUT_MS })
    expect(sha256(await arrived(text))).toBe(sha256(text))
    expect(await page.locator('#type-note').textContent()).toBe('Typed.')
    await expect.poll(() => machine.screen.leds).toMatchObject({ capsLock: true, numLock: false })
    await machine.screen.press('CapsLock')
    await page.context().close()
  })

  it('names before the first key what the layout lacks, and remembers the layout of the server', async () => {
    const page = await openPage()
    await type(page, 'Größe 5', 'loadkeys-uk')
    await note(page, /^Nothing was typed: Linux console, loadkeys uk has no ö ß\. These layouts have them: /)
    await page.getByRole('button', { name: 'Type the rest' }).click()
    await note(page, /^Typed, without ö ß$/)
    expect(await arrived('Gre 5')).toBe('Gre 5')
    await page.reload()
    await page.getByRole('button', { name: 'Type text…' }).click()
    await expect.poll(() => page.getByLabel('Keyboard layout of the machine').inputValue()).toBe('loadkeys-uk')
    await page.context().close()
  })

  it('stops while the guest is paused, with no key down in it afterwards', async () => {
    const page = await openPage()
    await type(page, 'ABC '.repeat(500), 'loadkeys-de-latin1')
    await page.locator('#typing-progress:not([value="0"])').waitFor({ state: 'attached' })
    await machine.guest.qmp('stop')
    await page.getByRole('button', { name: 'Stop' }).click()
    await note(page, /^Stopped\. A part of the text may have arrived\.$/)
    await machine.guest.qmp('cont')
    await machine.guest.run(': >/tmp/typed')
    await machine.screen.type('done', { layout: 'loadkeys-de-latin1' })
    expect(await machine.guest.run('tail -c 4 /tmp/typed')).toBe('done')
    await page.context().close()
  })

  async function openPage(): Promise<Page> {
    await machine.guest.run(': >/tmp/typed')
    const page = await (await browser.newContext()).newPage()
    await page.goto((await machine.oriel.client.createConsole(id, 'novnc')).url)
    return page
  }

  async function type(page: Page, text: string, layout: string): Promise<void> {
    await page.getByRole('button', { name: 'Type text…' }).click()
    await page.getByLabel('Keyboard layout of the machine').selectOption(layout)
    await page.getByLabel('Text to type').fill(text)
    await page.getByRole('button', { name: 'Type it' }).click()
  }

  const note = (page: Page, hasText: RegExp) => page.locator('#type-note', { hasText }).waitFor()
  const arrived = (text: string) => arrivedIn(machine.guest, Buffer.byteLength(text))
})

/** Capitals, umlauts and the characters that the German layout has on AltGr. */
const umlautFile = (length: number) => linesOf([...'ÄaÖbÜcßdEeFfGgHh{}[]@|<>äöüÄÖÜ0 9?!Zy'], length)
