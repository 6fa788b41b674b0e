/** Opens serial consoles of SeaBIOS on a real QEMU, in a real browser and with a plain WebSocket client. */
import { once } from 'node:events'
import { freePort, type QemuGuest, requires, startQemu } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Pair, startPair } from './parts/oriel.ts'
import { complaintsOf, terminalText, untilTerminal } from './parts/page.ts'

const { skip, reason } = requires('qemu', 'chromium')

describe.skipIf(skip)(`a serial console of a real QEMU guest${reason}`, () => {
  const id = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c01'
  const parts = new AsyncDisposableStack()
  let guest: QemuGuest
  let browser: Browser
  let oriel: Pair

  beforeAll(async () => {
    guest = parts.use(
      await startQemu({ name: 'serial-1', uuid: id, vnc: false, serial: true, firmware: 'serial', paused: true }),
    )
    browser = parts.use(await startChromium())
    const port = await freePort()
    const consoles = { serial: { host: guest.host, port: guest.serialPort } }
    oriel = parts.use(
      await startPair({
        servers: [{ id, name: 'serial-1', consoles }],
        api: { consoles: { serial: { base_url: `ws://127.0.0.1:${port}/` } } },
        proxy: {
          listen: [{ address: `127.0.0.1:${port}`, consoles: ['serial'] }],
          consoles: { serial: { replay_bytes: 65_536 } },
        },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())

  it('shows the output of SeaBIOS from its first byte, and sends it the ESC key', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await page.goto(pageOf(await mint()))
    await page.getByText('Connected', { exact: true }).waitFor()
    await guest.qmp('cont')
    await untilTerminal(page, /SeaBIOS[\s\S]*Press ESC for boot menu/)
    await page.keyboard.press('Escape')
    const menu = await untilTerminal(page, /Select boot device:[\s\S]*\n1\. /)
    expect(menu).toMatch(/SeaBIOS/)

    await page.keyboard.press('1')
    await untilTerminal(page, /Booting from/)
    expect(complaints).toEqual([])
    await page.close()
  })

  it('replays earlier output to a client that opens the console again', async () => {
    const page = await browser.newPage()
    await page.goto(pageOf(await mint()))
    await untilTerminal(page, /Select boot device:[\s\S]*Booting from/)
    await page.close()
  })

  it('sends Esc from the keys panel, and copies the text of the terminal', async () => {
    const page = await browser.newPage()
    await page.goto(pageOf(await mint()))
    await page.getByText('Connected', { exact: true }).waitFor()
    await guest.qmp('system_reset')
    // The firmware clears the screen when it restarts.
    await untilTerminal(page, /Press ESC for boot menu\.\s*$/)
    await page.getByRole('button', { name: 'Keys…' }).click()
    await page.getByRole('button', { name: 'Esc', exact: true }).click()
    await untilTerminal(page, /Select boot device:/)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Copy…' }).click()
    await expect.poll(() => page.getByLabel('Text of the terminal').inputValue()).toMatch(/Select boot device:/)
    await page.keyboard.press('Escape')
    await page.close()
  })

  it('accepts text and binary frames of a plain WebSocket client', async () => {
    const socket = new WebSocket(`${await mint()}&replay=0`, ['binary', 'base64'])
    const heard = hear(socket)
    await once(socket, 'open')
    expect(socket.protocol).toBe('binary')
    await guest.qmp('system_reset')
    await heard.until(/Press ESC for boot menu/)
    socket.send('\u001b')
    await heard.until(/Select boot device:/)
    socket.send(Buffer.from('1'))
    await heard.until(/Booting from/)
    expect(heard.onlyBinary()).toBe(true)
    socket.close()
    await once(socket, 'close')
  })

  it('shows below the last output that the machine has closed the console', async () => {
    const page = await browser.newPage()
    await page.goto(`${pageOf(await mint())}&reconnect=false`)
    await untilTerminal(page, /SeaBIOS/)
    await guest.qmp('quit').catch(() => {})
    await page
      .getByText('The machine closed the console.')
      .or(page.getByText('The connection to the machine broke.'))
      .waitFor()
    expect(await terminalText(page)).toMatch(/SeaBIOS/)
    await page.close()
  })

  const mint = async () => {
    const body = { remote_console: { protocol: 'serial', type: 'serial' } } as const
    return (await oriel.client.at('2.6').createRemoteConsole({ server_id: id, body })).remote_console.url
  }
})

/** Returns the URL of the page for a serial access URL. */
const pageOf = (accessUrl: string) => accessUrl.replace('ws://', 'http://').replace('/?', '/serial.html?')

function hear(socket: WebSocket) {
  let text = ''
  let binary = true
  let news = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer, isBinary) => {
    text += data.toString('latin1')
    binary &&= isBinary
    news.resolve()
    news = Promise.withResolvers()
  })
  const closed = once(socket, 'close').then(([code]) => {
    throw new Error(`closed with ${code} after ${JSON.stringify(text)}`)
  })
  closed.catch(() => {})
  return {
    onlyBinary: () => binary,
    async until(pattern: RegExp) {
      while (!pattern.test(text)) await Promise.race([news.promise, closed])
    },
  }
}
