/** The first steps of a new user: `npm start`, `oriel --demo`, its home page and its consoles. */
import { spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createClient, staticToken } from '@oriel/sdk'
import { freePort, hasQemu, type RunningProgram, requires, startProgram, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiConfig, MEMBER_TOKEN, merge, programFile, startApp } from './parts/oriel.ts'
import { canvasOf, openConsole, pictureOf, terminalText, untilPicture, untilTerminal } from './parts/page.ts'
import { differs, isDrawn } from './parts/pictures.ts'

const { skip, reason } = requires('chromium')
/** Long, because firmware that finds nothing to boot restarts only after ten seconds. */
const PATIENT = { timeout: 90_000, interval: 500 }

describe.skipIf(skip)(`oriel --demo in Chromium${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser
  let oriel: RunningProgram
  let home: string

  beforeAll(async () => {
    browser = parts.use(await startChromium())
    const folder = parts.use(await temporaryFolder())
    const [apiPort, proxyPort] = [await freePort(), await freePort()]
    home = `http://127.0.0.1:${proxyPort}/`
    const env = {
      ORIEL_API__LISTEN: `127.0.0.1:${apiPort}`,
      ORIEL_PROXY__LISTEN__0__ADDRESS: `127.0.0.1:${proxyPort}`,
    }
    oriel = parts.use(await startProgram({ file: programFile('oriel'), args: ['--demo'], env, cwd: folder.path }))
    await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
  })
  afterAll(() => parts.disposeAsync())

  it('prints the address of its home page', async () => {
    const record = await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
    expect(record.msg).toBe(`open ${home}`)
  })

  it('lists the demo server, and opens its VNC console, whose picture a key changes', async () => {
    const page = await browser.newPage()
    const complaints = collectComplaints(page)
    await page.goto(home)
    const console = await openConsole(page, 'Screen of demo')
    await canvasOf(console).waitFor()
    await untilPicture(console, isDrawn)

    const before = await pictureOf(console)
    await canvasOf(console).click()
    await console.keyboard.type('oriel')
    await untilPicture(console, (picture) => differs(picture, before))
    expect(complaints).toEqual([])
    await console.close()
    await page.close()
  })

  it('opens the serial console from a page at localhost too, and the shell answers a command', async () => {
    const page = await browser.newPage()
    const complaints = collectComplaints(page)
    await page.goto(home.replace('127.0.0.1', 'localhost'))
    const console = await openConsole(page, 'Serial of demo')
    await untilTerminal(console, /Say "help"[\s\S]*demo\$/)
    expect(await console.title()).toBe('demo · Console')
    await console.keyboard.type('helpx')
    await console.keyboard.press('Backspace')
    await console.keyboard.press('Enter')
    await untilTerminal(console, /demo\$ help\n.*date.*clear[\s\S]*demo\$/)
    expect(complaints).toEqual([])
    await console.close()
    await page.close()
  })

  it('shows who is connected, and ends the session', async () => {
    const page = await browser.newPage()
    await page.goto(home)
    const console = await openConsole(page, 'Screen of demo')
    await console.getByText('Connected', { exact: true }).waitFor()
    const sessions = page.getByText(/^\d sessions?$/).filter({ visible: true })
    // The session of the test before may be listed for a moment.
    await expect
      .poll(async () => {
        await page.getByRole('button', { name: 'Refresh' }).click()
        return sessions.allTextContents()
      })
      .toEqual(['1 session'])
    await sessions.click()
    const session = page
      .locator('.sessions li')
      .filter({ hasText: /^anonymous · Screen · since .* · 127\.0\.0\.1End$/ })
    await session.getByRole('button', { name: 'End: session of anonymous at demo' }).click()
    await page.getByRole('button', { name: /^Really end\?/ }).click()
    await console.getByText('Not connected', { exact: true }).waitFor()
    await console.close()
    await page.close()
  })

  it('shows the screen in the list', async () => {
    const page = await browser.newPage()
    const complaints = collectComplaints(page)
    await page.goto(`${home}?screens=1`)
    const picture = page.getByRole('img', { name: /^Screen of demo at / })
    await expect
      .poll(() => picture.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth))
      .toBeGreaterThan(0)
    expect(complaints).toEqual([])
    await page.close()
  })

  it.skipIf(!hasQemu())('shows a real guest too, whose firmware answers on its serial port', async () => {
    const page = await browser.newPage()
    await page.goto(home)
    const console = await openConsole(page, 'Serial of qemu')
    await console.getByText('Connected', { exact: true }).waitFor()
    // The firmware reads the key only during its prompt, which may have appeared or ended before this test looks.
    await expect
      .poll(async () => {
        await console.keyboard.press('Escape')
        return terminalText(console)
      }, PATIENT)
      .toMatch(/Select boot device:/)
    await console.close()
    await page.close()
  })

  it('logs no warning', () => {
    expect(oriel.records.filter(({ level }) => level !== 'info')).toEqual([])
  })

  it('stops cleanly on SIGTERM', async () => {
    expect(await oriel.stop()).toEqual({ code: 0, signal: null })
  })
})

describe('the console addresses of oriel', () => {
  const id = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a12'
  const consoles = Object.fromEntries(['vnc', 'serial'].map((name) => [name, { host: '127.0.0.1', port: 5901 }]))

  it.each([
    [
      ['novnc', 'serial'],
      {},
      /^http:\/\/127\.0\.0\.1:PORT\/novnc\/vnc_lite\.html\?/,
      /^ws:\/\/127\.0\.0\.1:PORT\/serial\/\?/,
    ],
    [['novnc'], {}, /^http:\/\/127\.0\.0\.1:PORT\/vnc_lite\.html\?/, /^ws:\/\/127\.0\.0\.1:6083\/\?/],
    [
      ['novnc', 'serial'],
      { novnc: { base_url: 'https://consoles.example/vnc_lite.html' } },
      /^https:\/\/consoles\.example\/vnc_lite\.html\?/,
      /^ws:\/\/127\.0\.0\.1:PORT\/serial\/\?/,
    ],
  ])('follow a listener that serves %j if the configuration has %j', async (served, given, novnc, serial) => {
    const [apiPort, { consoles: _, ...api }] = [await freePort(), apiConfig(0, 0, [{ id, name: 'one', consoles }])]
    await using oriel = await startApp('oriel', {
      api: merge(api, { listen: `127.0.0.1:${apiPort}`, consoles: given }),
      proxy: { listen: [{ address: '127.0.0.1:0', consoles: served }] },
    })
    const { msg } = await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
    const { port } = new URL(String(msg).slice('open '.length))
    const client = createClient({ endpoint: `http://127.0.0.1:${apiPort}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
    const urlOf = async (type: 'novnc' | 'serial') => (await client.createConsole(id, type)).url.replace(port, 'PORT')
    expect(await urlOf('novnc')).toMatch(novnc)
    expect(await urlOf('serial')).toMatch(serial)
  })
})

describe('npm start', () => {
  const script = fileURLToPath(new URL('../../apps/oriel/start', import.meta.url))

  it('prints one line, then the output of oriel', async () => {
    await using it = await checkout({ npm: 'echo noise; echo more >&2', node: 'echo "oriel: $*"' })
    expect(await it.start('--help')).toEqual({
      code: 0,
      out: `The first start installs and builds, which takes from ten seconds to a minute.\noriel: apps/oriel/dist/main.js --demo --help\n`,
      err: '',
    })
    await it.build()
    const { out } = await it.start()
    expect(out).toBe('Building what has changed.\noriel: apps/oriel/dist/main.js --demo\n')
  })

  it.each([
    ['installing', 'npm run setup'],
    ['building', 'npm run build:oriel'],
  ])('prints the whole error of a failed %s, and starts nothing', async (_, step) => {
    const npm = `[ "npm $*" != '${step}' ] || { echo why; echo really why >&2; exit 7; }`
    await using it = await checkout({ npm, node: 'echo started' })
    const { code, out, err } = await it.start()
    expect(code).toBe(7)
    expect(out).not.toContain('started')
    expect(err).toMatch(new RegExp(`^why\nreally why\n\nOriel did not start.* exit code 7: ${step}\n$`))
  })

  /** Creates a folder with only the start script, and with the given `npm` and `node` on the PATH. */
  async function checkout(programs: Readonly<Record<string, string>>) {
    const folder = await temporaryFolder()
    const at = (...names: string[]) => join(folder.path, ...names)
    await mkdir(at('apps/oriel/dist'), { recursive: true })
    await mkdir(at('bin'))
    await copyFile(script, at('apps/oriel/start'))
    for (const [name, lines] of Object.entries(programs)) {
      await writeFile(at('bin', name), `#!/bin/sh\n${lines}\n`)
      await chmod(at('bin', name), 0o755)
    }
    return {
      build: () => writeFile(at('apps/oriel/dist/main.js'), ''),
      async start(...args: string[]) {
        const env = { PATH: `${at('bin')}:/usr/bin:/bin` }
        const child = spawn('sh', [at('apps/oriel/start'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
        const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
        const [code, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
        return { code, out, err }
      },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  }
})

/** Collects violations of the page's Content-Security-Policy, and errors in its scripts. */
function collectComplaints(page: Page): string[] {
  const complaints: string[] = []
  page.context().on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.context().on('weberror', (error) => complaints.push(String(error.error())))
  return complaints
}
