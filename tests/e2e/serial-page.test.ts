/** The serial page with a real shell in a real browser: pastes, copies, and a flood of output. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { freePort, type Peer, requires, scriptedServer } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { moveTo, untilFocused } from './parts/keyboard.ts'
import { type Pair, startPair } from './parts/oriel.ts'
import { terminalText, untilTerminal } from './parts/page.ts'
import { PROMPT, requiresShell, startShellPort } from './parts/shell-port.ts'

const { skip, reason } = requires('chromium')
const shell = requiresShell()
const SHELL = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c11'
const SINK = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c12'
const QUIET = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c14'
const FLOOD = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c13'
/** Leads to the proxy, and is no secure context, unlike 127.0.0.1. */
const PLAIN_HOST = 'console.test'
const PASTE_BYTES = 5 * 1024 * 1024
/** About 18 MB, more than a page keeps, but fewer lines than its terminal has: each character has a colour. */
const FLOOD_LINES = 18_000
const coloured = '\u001b[38;2;120;200;255m.\u001b[0m'.repeat(40)

describe.skipIf(skip || shell.skip)(`the serial page${reason}${shell.reason}`, () => {
  const parts = new AsyncDisposableStack()
  const sink = Promise.withResolvers<{ bytes: number; digest: string }>()
  let browser: Browser
  let context: BrowserContext
  let oriel: Pair
  let publicPort: number

  beforeAll(async () => {
    browser = parts.use(await startChromium({ args: [`--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`] }))
    const machines = {
      [SHELL]: parts.use(await startShellPort()),
      [SINK]: parts.use(await scriptedServer((peer) => readPaste(peer, sink.resolve))),
      [QUIET]: parts.use(await scriptedServer(answerEnter)),
      [FLOOD]: parts.use(await scriptedServer(flood)),
    }
    publicPort = await freePort()
    oriel = parts.use(
      await startPair({
        servers: Object.entries(machines).map(([id, { host, port }]) => ({
          id,
          name: id,
          consoles: { serial: { host, port } },
        })),
        api: { consoles: { serial: { base_url: `http://${PLAIN_HOST}:${publicPort}/serial_auto.html` } } },
        proxy: {
          listen: [{ address: `127.0.0.1:${publicPort}`, consoles: ['serial'] }],
          consoles: { serial: { replay_bytes: 0 } },
        },
      }),
    )
    context = await browser.newContext()
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: `http://127.0.0.1:${publicPort}` })
  })
  afterAll(() => parts.disposeAsync())

  it('takes control characters out of a paste, which would end a bracketed paste and run the rest', async () => {
    const page = await openShell()
    await setClipboard('echo begin\u001b[201~\necho ran-$((6*7))\n')
    await page.keyboard.press('Shift+Insert')
    await page.getByText('Control characters are taken out: ESC.').waitFor()
    expect(await page.getByLabel('Text to paste').inputValue()).toBe('echo begin[201~\necho ran-$((6*7))\n')
    await page.getByRole('button', { name: 'Paste it' }).click()
    await untilTerminal(page, /begin\[201~/)
    await panelClosed(page)
    // The shell echoes this after it has run what a broken paste would run.
    await page.keyboard.type('# echoed')
    expect(await untilTerminal(page, /# echoed/)).not.toMatch(/^ran-42$/m)
    await page.close()
  })

  it('shows a paste of several lines once before a shell without bracketed paste runs them', async () => {
    const page = await openShell()
    await page.keyboard.type("bind 'set enable-bracketed-paste off'; echo off-$((6*7))\n")
    await untilTerminal(page, /^off-42$/m)
    await setClipboard('echo one-$((6*7))\necho two-$((6*7))\n')
    await page.keyboard.press('Shift+Insert')
    await page.getByText('The machine gets 2 lines, and may run each of them.').waitFor()
    expect(await terminalText(page)).not.toMatch(/one-/)
    await page.keyboard.press('Enter')
    await untilTerminal(page, /^one-42$[\s\S]*^two-42$/m)
    await panelClosed(page)
    // The focus is back in the terminal.
    await page.keyboard.type('echo typed-$((6*7))\n')
    await untilTerminal(page, /^typed-42$/m)
    await page.close()
  })

  it('asks about a paste of several lines with the keyboard alone, and a screen reader', async () => {
    const page = await openShell()
    await page.keyboard.type("bind 'set enable-bracketed-paste off'; echo off-$((6*7))\n")
    await untilTerminal(page, /^off-42$/m)
    await setClipboard('echo one-$((6*7))\necho two-$((6*7))\n')
    await page.keyboard.press('Shift+Insert')
    const send = page.getByRole('button', { name: 'Paste it', description: /^The machine gets 2 lines/ })
    await send.waitFor()
    await untilFocused(page, /^button "Paste it"/)
    await page.keyboard.press('Escape')
    await untilFocused(page, /^textbox "Terminal of the machine/)
    await page.keyboard.press('Shift+Insert')
    await untilFocused(page, /^button "Paste it"/)
    await moveTo(page, /^textbox "Text to paste"/, 'Shift+Tab')
    await moveTo(page, /^button "Paste it"/)
    await page.keyboard.press('Space')
    await untilTerminal(page, /^one-42$[\s\S]*^two-42$/m)
    await untilFocused(page, /^textbox "Terminal of the machine/)
    await page.close()
  })

  it('copies a line that the margin wrapped as one line, also with Ctrl+Shift+C at plain http', async () => {
    const page = await openShell()
    await page.keyboard.type("printf 'k%.0s' $(seq 374); echo; echo end-$((6*7))\n")
    await untilTerminal(page, /^end-42$/m)
    await page.getByRole('button', { name: 'Copy…' }).click()
    await expect.poll(() => page.getByLabel('Text of the terminal').inputValue()).toMatch(/^k{374}$/m)
    await page.getByRole('button', { name: 'Copy it' }).click()
    await page.getByText('Copied.').waitFor()
    expect(await clipboard()).toMatch(/^k{374}$/m)
    await page.keyboard.press('Escape')
    const row = await page.locator('oriel-serial .xterm-rows > div', { hasText: 'kkkk' }).last().boundingBox()
    await page.mouse.click(row!.x + 20, row!.y + 5, { clickCount: 3 })
    await page.keyboard.press('Control+Shift+C')
    await expect.poll(clipboard).toMatch(/^k{374}\n?$/)
    await page.keyboard.type('echo typed-$((6*7))\n')
    await untilTerminal(page, /^typed-42$/m)
    await page.close()
  })

  it('pastes a text of 5 MiB completely', async () => {
    const page = await open(SINK)
    const line = `${'0123456789abcde'.repeat(68)}xyz\n`
    const text = line.repeat(PASTE_BYTES / line.length)
    await page.getByRole('button', { name: 'Paste…' }).click()
    await page.getByLabel('Text to paste').evaluate((field, value) => {
      ;(field as unknown as { value: string }).value = value
    }, text)
    await page.getByRole('button', { name: 'Paste it' }).click()
    const digest = createHash('sha256').update(text.replaceAll('\n', '\r')).digest('hex')
    expect(await sink.promise).toEqual({ bytes: PASTE_BYTES, digest })
    await page.close()
  })

  it('leaves the oldest output of a flood out while its tab is in the background, and says so', async () => {
    const page = await context.newPage()
    const flooded = untilReceived(page, /the last line/)
    await page.addInitScript({ content: HOLD_TIMERS })
    await page.goto(await mint(FLOOD))
    await flooded
    await page.evaluate('releaseTimers()')
    await untilTerminal(page, /^the last line$/m)
    const all = await page.locator('oriel-serial').evaluate((element) => (element as unknown as { text: string }).text)
    const lines = all.split('\n').filter((line) => line !== '')
    expect(lines.slice(-2)).toEqual([`line ${FLOOD_LINES - 1} ${'.'.repeat(40)}`, 'the last line'])
    // Apart from the line about missing output, only the line that was being drawn is incomplete.
    const odd = lines.slice(0, -1).filter((line) => !/^line \d+ \.{40}$/.test(line))
    expect(odd.at(-1)).toMatch(/^\[oriel: \d+ bytes of output were left out by this page\]$/)
    expect(odd.length).toBeLessThanOrEqual(2)
    await page.close()
  })

  it('counts two columns for an emoji, and sends arrow keys in the mode that the machine has set', async () => {
    const page = await openShell()
    await page.keyboard.type('printf \'\\U1F680\\e[6n\'; IFS= read -rsd R at; echo; echo at-$(cut -d";" -f2 <<<$at)\n')
    await untilTerminal(page, /^at-3$/m)
    await page.getByRole('button', { name: 'Keys…' }).click()
    await page.getByRole('button', { name: 'Ctrl+C' }).click()
    await page.keyboard.press('Escape')
    await page.locator('oriel-serial').click()
    await page.keyboard.type("printf '\\e[?1h'; cat -v\n")
    await page.getByRole('button', { name: 'Keys…' }).click()
    await page.getByRole('button', { name: 'Up', exact: true }).click()
    await untilTerminal(page, /\^\[OA/)
    await page.getByRole('button', { name: 'Ctrl+\\' }).click()
    await untilTerminal(page, /Quit/)
    await page.close()
  })

  it('says that a silent port is connected, until it prints', async () => {
    const page = await open(QUIET)
    await page.getByText('Connected. Nothing printed yet: press Enter.').waitFor()
    await page.keyboard.press('Enter')
    await untilTerminal(page, /^login:/m)
    await page.getByText('Nothing printed yet').waitFor({ state: 'hidden' })
    await page.close()
  })

  it('scrolls by finger on a phone', async () => {
    const phone = await browser.newContext({ viewport: { width: 390, height: 700 }, hasTouch: true, isMobile: true })
    const page = await phone.newPage()
    await page.goto(await mint(SHELL))
    await untilTerminal(page, new RegExp(PROMPT.trim()))
    await page.locator('oriel-serial .xterm-helper-textarea').focus()
    await page.keyboard.type('seq -f row-%g 200\n')
    await untilTerminal(page, /^row-200$/m)
    const finger = await phone.newCDPSession(page)
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', y?: number) =>
      finger.send('Input.dispatchTouchEvent', { type, touchPoints: y === undefined ? [] : [{ x: 150, y }] })
    await touch('touchStart', 200)
    for (let y = 220; y <= 600; y += 20) await touch('touchMove', y)
    await touch('touchEnd')
    const text = await untilTerminal(page, /^row-160$/m)
    expect(text).not.toMatch(/^row-200$/m)
    await phone.close()
  })

  it('brings back what was cleared, with its colours and what was printed since', async () => {
    const page = await openShell()
    await page.keyboard.type("printf '\\e[31mred-%s\\e[0m\\n\\n' $((6*7))\n")
    await untilTerminal(page, /^red-42$/m)
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByText('The terminal is cleared.').waitFor()
    expect(await untilTerminal(page, new RegExp(PROMPT.trim()))).not.toMatch(/red-42/)
    await page.keyboard.type('echo since-$((6*7))\n')
    await untilTerminal(page, /^since-42$/m)
    await page.getByRole('button', { name: 'Undo' }).click()
    // The empty line above the prompt is there again, too.
    await untilTerminal(page, /^red-42\n\n.*echo since-[\s\S]*^since-42$/m)
    expect(await page.locator('oriel-serial .xterm-rows .xterm-fg-1').first().textContent()).toBe('red-42')
    await page.keyboard.type('echo typed-$((6*7))\n')
    await untilTerminal(page, /^typed-42$/m)
    await page.close()
  })

  it('finds a text above the screen, and saves the output with and without colours', async () => {
    const page = await openShell()
    await page.keyboard.type("printf '\\e[31mneedle-%s\\e[0m\\n' $((6*7)); seq 200; echo end-$((6*7))\n")
    expect(await untilTerminal(page, /^end-42$/m)).not.toMatch(/needle-42/)
    await page.getByRole('button', { name: 'View…' }).click()
    const find = page.getByLabel('Find in the output')
    await find.fill('absent')
    await find.press('Enter')
    await page.getByText('Not in the output.').waitFor()
    await find.fill('NEEDLE-42')
    await find.press('Enter')
    await untilTerminal(page, /needle-42/)
    expect(await saved(page, 'Save the output')).toMatch(/^needle-42\n1\n2\n[\s\S]*^200\nend-42$/m)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequence is what is saved
    expect(await saved(page, 'Save with colours')).toMatch(/\u001b\[31mneedle-42/)
    await page.getByRole('button', { name: 'Larger font' }).click()
    await expect.poll(() => page.locator('#font-size').textContent()).toBe('15')
    await page.close()
  })

  it('loads at most 110 kB until the console is connected, compressed also at plain http', async () => {
    const page = await context.newPage()
    await page.addInitScript(`document.addEventListener('connect', () => connectedAt ??= performance.now(), true)
      globalThis.connectedAt = undefined`)
    await page.goto(await mint(SHELL))
    await page.getByText('Connected', { exact: true }).waitFor()
    const sizes = await page.evaluate<Record<string, number>>(`Object.fromEntries(
      performance.getEntries().filter((entry) => entry.encodedBodySize > 0 && entry.startTime < connectedAt).map(
        (entry) => [new URL(entry.name).pathname, entry.encodedBodySize]))`)
    const bytes = Object.values(sizes).reduce((sum, size) => sum + size, 0)
    expect(bytes, JSON.stringify(sizes)).toBeLessThan(110_000)
    expect(bytes).toBeGreaterThan(10_000)
    await page.close()
  })

  const saved = async (page: Page, name: string) => {
    const downloads = page.waitForEvent('download')
    await page.getByRole('button', { name }).click()
    return readFile(await (await downloads).path(), 'utf8')
  }

  /** The output of a paste may arrive before the page closes the panel and returns the focus. */
  const panelClosed = (page: Page) => page.getByRole('button', { name: 'Paste it' }).waitFor({ state: 'hidden' })

  const setClipboard = (text: string) => inSecureContext(`navigator.clipboard.writeText(${JSON.stringify(text)})`)
  const clipboard = () => inSecureContext<string>('navigator.clipboard.readText()')

  const inSecureContext = async <T>(script: string): Promise<T> => {
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${publicPort}/serial.html`)
    const result = await page.evaluate<T>(script)
    await page.close()
    return result
  }

  const openShell = async () => {
    const page = await open(SHELL)
    await untilTerminal(page, new RegExp(PROMPT.trim()))
    return page
  }

  const open = async (id: string): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(await mint(id))
    await page.getByText('Connected', { exact: true }).waitFor()
    return page
  }

  const mint = async (id: string) => {
    const body = { remote_console: { protocol: 'serial', type: 'serial' } } as const
    return (await oriel.client.at('2.6').createRemoteConsole({ server_id: id, body })).remote_console.url
  }
})

/** As a browser does it in background tabs; but here timers do not run at all, until `releaseTimers()`. */
const HOLD_TIMERS = `
  const [set, clear] = [window.setTimeout, window.clearTimeout]
  const held = new Map()
  let id = -1
  window.setTimeout = (...timer) => {
    held.set(id, timer)
    return id--
  }
  window.clearTimeout = (id) => held.delete(id) || clear(id)
  window.releaseTimers = () => {
    window.setTimeout = set
    for (const timer of held.values()) set(...timer)
  }`

/** Resolves once a WebSocket of the page has received `pattern`. */
function untilReceived(page: Page, pattern: RegExp): Promise<void> {
  return new Promise((resolve) => {
    page.on('websocket', (socket) =>
      socket.on('framereceived', ({ payload }) => {
        if (pattern.test(payload.toString('latin1'))) resolve()
      }),
    )
  })
}

async function answerEnter(peer: Peer): Promise<void> {
  await peer.read(1, { timeoutMs: 60_000 })
  await peer.send(Buffer.from('login: '))
  await peer.closed({ timeoutMs: 600_000 })
}

async function flood(peer: Peer): Promise<void> {
  for (let from = 0; from < FLOOD_LINES; from += 1000) {
    const lines = Array.from({ length: 1000 }, (_, i) => `line ${from + i} ${coloured}\r\n`)
    await peer.send(Buffer.from(lines.join('')))
  }
  await peer.send(Buffer.from('the last line\r\n'))
  await peer.closed({ timeoutMs: 600_000 })
}

async function readPaste(peer: Peer, done: (paste: { bytes: number; digest: string }) => void): Promise<void> {
  const hash = createHash('sha256')
  let bytes = 0
  while (bytes < PASTE_BYTES) {
    const part = await peer.read(64 * 1024, { timeoutMs: 30_000 })
    bytes += part.length
    hash.update(part)
  }
  done({ bytes, digest: hash.digest('hex') })
  await peer.closed({ timeoutMs: 600_000 })
}
