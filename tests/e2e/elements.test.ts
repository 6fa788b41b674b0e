/** The elements in a page of somebody else: the package is bundled, and the portal's server creates the consoles. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { decodePng } from '@oriel/console'
import { freePort, type QemuGuest, requires, startQemu } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Pair, startPair } from './parts/oriel.ts'
import { complaintsOf, untilShows, untilTerminal } from './parts/page.ts'
import { settled } from './parts/pictures.ts'
import { startPortal } from './parts/portal.ts'
import { PROMPT, requiresShell, startShellPort } from './parts/shell-port.ts'

/** The part of `<oriel-console>` that these tests use, because they are compiled for Node. */
interface OrielConsole {
  url: string
  lang: string
  readonly screen: { readonly latencyMs?: number; readonly participants: readonly unknown[] }
  disconnect(): void
  sendKeys(...keys: string[]): Promise<void>
  typeText(text: string, options?: { layout?: string }): Promise<{ skipped: string[] }>
  screenshot(): Promise<{ arrayBuffer(): Promise<ArrayBuffer> }>
  text(): Promise<string>
  addEventListener(type: string, listener: (event: { type: string; detail: unknown }) => void): void
}
type Heard = { type: string; detail: { reason?: string; willRetry?: boolean; width?: number } | null }[]

const { skip, reason } = requires('qemu', 'chromium')
const shell = requiresShell()
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const example = (file: string) => fileURLToPath(new URL(`../../packages/elements/examples/${file}`, import.meta.url))

describe.skipIf(skip || shell.skip)(`<oriel-console> in a portal${reason}${shell.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let guest: QemuGuest
  let oriel: Pair
  let page: Page
  let complaints: string[]
  /** The type of the consoles that the portal creates. */
  let type: 'novnc' | 'serial' = 'novnc'

  beforeAll(async () => {
    guest = parts.use(await startQemu({ name: 'web-1', uuid: ID }))
    const { host, port } = parts.use(await startShellPort())
    const [vncPort, serialPort] = [await freePort(), await freePort()]
    const consoles = { vnc: { host: guest.host, port: guest.vncPort }, serial: { host, port } }
    oriel = parts.use(
      await startPair({
        servers: [{ id: ID, name: 'web-1', consoles }],
        publicPort: vncPort,
        api: { consoles: { serial: { base_url: `ws://127.0.0.1:${serialPort}/` } } },
        proxy: {
          origin: { allowed: ['127.0.0.1'] },
          listen: [
            { address: `127.0.0.1:${vncPort}`, consoles: ['novnc'] },
            { address: `127.0.0.1:${serialPort}`, consoles: ['serial'] },
          ],
        },
      }),
    )
    const portal = parts.use(
      await startPortal({
        html: await readFile(example('plain.html'), 'utf8'),
        script: example('plain.ts'),
        mint: async () => (await oriel.client.createConsole(ID, type)).url,
      }),
    )
    page = await parts.use(await startChromium()).newPage()
    complaints = complaintsOf(page)
    await page.goto(portal.href)
  })
  afterAll(() => parts.disposeAsync())

  const element = () => page.locator('oriel-console')
  const ask = <T>(act: (element: OrielConsole) => Promise<T> | T) =>
    element().evaluate(act as unknown as (element: unknown) => Promise<T> | T)

  it('shows the screen of a console that the portal created', async () => {
    await page.getByRole('status').getByText('connected').waitFor()
    await settled(guest)
    await untilShows(page, guest)
    const png = await ask(async (screen) => [...new Uint8Array(await (await screen.screenshot()).arrayBuffer())])
    const { width, height } = await guest.screendump()
    expect(await decodePng(Uint8Array.from(png))).toMatchObject({ width, height })
    expect(await ask((screen) => screen.text())).toMatch(/SeaBIOS|iPXE/)
  })

  it('reports the latency and who has the console open', async () => {
    const [latency, viewers] = await ask((screen) => {
      const known = screen.screen.latencyMs
      const latency = new Promise<unknown>((resolve) =>
        known === undefined
          ? screen.addEventListener('latency', ({ detail }) => resolve(detail))
          : resolve({ ms: known }),
      )
      return Promise.all([latency, screen.screen.participants.length])
    })
    expect(latency).toEqual({ ms: expect.any(Number) })
    expect(viewers).toBe(1)
  })

  it('reaches each tool by arrow keys, which a panel keeps for itself', async () => {
    const button = (name: string) => page.getByRole('button', { name })
    const focused = () => page.locator('oriel-console button:focus').textContent()
    await button('Keys').focus()
    for (const key of ['ArrowLeft', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key)
    expect(await focused()).toBe('Type')
    expect(await page.locator('oriel-console .bar > button[tabindex="0"]').allTextContents()).toEqual(['Type'])
    await page.keyboard.press('Enter')
    await page.getByRole('textbox', { name: 'Text to type' }).press('ArrowRight')
    await button('Stop').press('ArrowRight')
    expect(await focused()).toBe('Stop')
    await page.keyboard.press('Escape')
  })

  it('presses keys by its tools, and types without the characters that the layout lacks', async () => {
    await page.getByRole('button', { name: 'Keys' }).click()
    await page.getByRole('button', { name: 'Escape' }).click()
    await page.keyboard.press('Escape')
    expect(await ask((screen) => screen.typeText('ä1€', { layout: 'us' }))).toEqual({ skipped: ['ä', '€'] })
    await expect(ask((screen) => screen.sendKeys('Hyper+Q'))).rejects.toThrow(/Hyper/)
  })

  it('reports the end by its name in the catalogue', async () => {
    const heard = await element().evaluate((node) => {
      const screen = node as unknown as OrielConsole
      const events: Heard = []
      for (const name of ['statechange', 'disconnect'])
        screen.addEventListener(name, ({ type, detail }) => events.push({ type, detail: detail as Heard[0]['detail'] }))
      screen.disconnect()
      return events
    })
    const end = { reason: 'client_closed', text: 'You closed the console.', remedy: 'none', willRetry: false }
    expect(heard).toMatchObject([
      { type: 'statechange', detail: { state: 'ended', ...end } },
      { type: 'disconnect', detail: end },
    ])
  })

  it('changes to a terminal when the address is that of a serial console', async () => {
    type = 'serial'
    await ask((screen) => screen.disconnect())
    const { url } = await oriel.client.createConsole(ID, type)
    await element().evaluate((screen, to) => {
      const console = screen as unknown as OrielConsole
      console.url = to
    }, url)
    await untilTerminal(page, new RegExp(PROMPT.trim()))
    expect(await page.locator('oriel-vnc').count()).toBe(0)
    await ask((screen) => screen.typeText('echo $((40 + 2))\n'))
    await untilTerminal(page, /^42\nshell#/m)
    const end = await ask((screen) => {
      const ended = new Promise<unknown>((resolve) =>
        screen.addEventListener('disconnect', ({ detail }) => resolve(detail)),
      )
      return screen.sendKeys('Ctrl+D').then(() => ended)
    })
    expect(end).toMatchObject({ reason: 'console_closed', remedy: 'reconnect', willRetry: true })
  })

  it('says that an address does not belong to a console', async () => {
    await element().evaluate((screen) => {
      const console = screen as unknown as OrielConsole
      console.url = 'https://portal.example/'
    })
    await element().getByText('This is not the address of a console.').waitFor()
    expect(complaints).toEqual([])
  })

  it('says in place of its tools that they could not be loaded, and loads them when told to', async () => {
    const html = await readFile(example('plain.html'), 'utf8')
    await using portal = await startPortal({
      html: html.replace(/ toolbar="[^"]*"/, ''),
      script: example('plain.ts'),
      mint: async () => (await oriel.client.createConsole(ID, 'novnc')).url,
    })
    await using bare = await page.context().browser()!.newPage()
    await bare.goto(portal.href)
    await bare.getByRole('status').getByText('connected').waitFor()
    await bare.route('**/*.js', (route) => route.fulfill({ status: 404 }))
    await bare.locator('oriel-console').evaluate((screen) => screen.setAttribute('toolbar', 'keys'))
    await bare.getByRole('alert').getByText('A part of this page could not be loaded.').waitFor()
    await bare.unroute('**/*.js')
    await bare.getByRole('button', { name: 'Try again' }).click()
    await bare.getByRole('button', { name: 'Keys' }).waitFor()
  })

  it('speaks the language of its `lang`', async () => {
    await element().evaluate((node) => {
      const screen = node as unknown as OrielConsole
      screen.lang = 'de'
      screen.url = 'https://portal.example/other'
    })
    await element().getByText('Dies ist nicht die Adresse einer Konsole.').waitFor()
  })

  it('follows and drives a console page in a frame by messages', async () => {
    const { url } = await oriel.client.createConsole(ID, 'novnc')
    const heard = await page.evaluate(driveFrame, url)
    expect(heard.find(({ type }) => type === 'state')).toMatchObject({ oriel: 1, kind: 'vnc' })
    expect(heard).toContainEqual({ oriel: 1, type: 'event', name: 'connect', detail: {} })
    expect(heard).toContainEqual({ oriel: 1, type: 'result', id: 1, value: { skipped: ['ä'] } })
    const end = { reason: 'client_closed', remedy: 'none', willRetry: false }
    expect(heard.at(-1)).toMatchObject({ type: 'event', name: 'disconnect', detail: end })
  })
})

/** Runs in the portal's page: shows `url` in a frame, types once it is connected, closes it, and returns its messages. */
async function driveFrame(url: string): Promise<FrameMessage[]> {
  const { document, addEventListener } = globalThis as unknown as BrowserPage
  const heard: FrameMessage[] = []
  const frame = document.createElement('iframe')
  const send = (message: object) => frame.contentWindow.postMessage({ oriel: 1, ...message }, new URL(url).origin)
  const ended = new Promise<void>((resolve) => {
    addEventListener('message', ({ data, source, origin }) => {
      if (source !== frame.contentWindow || origin !== new URL(url).origin) return
      heard.push(data)
      const isOpen = data.type === 'state' ? data.state === 'connected' : data.name === 'connect'
      if (data.type === 'ready') send({ type: 'hello' })
      if (isOpen) send({ type: 'call', id: 1, method: 'typeText', args: ['ä', { layout: 'us' }] })
      if (data.type === 'result' && data.id === 1) send({ type: 'call', id: 2, method: 'disconnect' })
      if (data.name === 'disconnect') resolve()
    })
  })
  frame.src = url
  document.body.append(frame)
  await ended
  frame.remove()
  return heard
}

interface FrameMessage {
  readonly type: string
  readonly name?: string
  readonly state?: string
  readonly id?: number
}

interface BrowserPage {
  readonly document: {
    createElement(name: 'iframe'): Frame
    readonly body: { append(frame: Frame): void }
  }
  addEventListener(
    type: 'message',
    listener: (event: { data: FrameMessage; source: unknown; origin: string }) => void,
  ): void
}

interface Frame {
  src: string
  readonly contentWindow: { postMessage(message: object, origin: string): void }
  remove(): void
}
