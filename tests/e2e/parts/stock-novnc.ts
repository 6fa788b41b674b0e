/** noVNC as published, in a page that has nothing of Oriel. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'

const NOVNC = new URL('../../../packages/elements/node_modules/@novnc/novnc/', import.meta.url)

const PAGE = `<!doctype html><title>noVNC</title><style>html, body { margin: 0; height: 100% }</style>
<script type="module">import RFB from "./core/rfb.js"; globalThis.RFB = RFB</script><body>`

export interface Site extends AsyncDisposable {
  readonly url: string
}

/** Serves the page, which makes noVNC's class `RFB` global. */
export async function startNovncSite(): Promise<Site> {
  return serving(async (url) => {
    if (url === '/') return { type: 'text/html', body: PAGE }
    const body = await readFile(new URL(`.${url}`, NOVNC)).catch(() => undefined)
    return body && { type: 'text/javascript', body }
  })
}

interface Answer {
  readonly type: string
  readonly body: string | Buffer
}

/** Serves what `answerTo` returns for a path, or 404. */
export async function serving(answerTo: (path: string) => Promise<Answer | undefined> | Answer): Promise<Site> {
  const server = createServer(async ({ url = '/' }, response) => {
    const answer = await answerTo(url)
    if (answer) response.writeHead(200, { 'Content-Type': answer.type }).end(answer.body)
    else response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** What noVNC reported last: `connected`, `disconnected` after a closing handshake, or `lost`. Empty: nothing yet. */
export type NovncState = '' | 'connected' | 'disconnected' | 'lost'

/** Opens the page, and connects to the WebSocket at `url`, as an application that uses noVNC does. */
export async function connectNovnc(page: Page, site: Site, url: string): Promise<void> {
  await page.goto(site.url)
  await page.waitForFunction('globalThis.RFB !== undefined')
  await page.evaluate(
    ([to]) => {
      const { RFB, document } = globalThis as unknown as NovncWindow
      const rfb = new RFB(document.body, to!, {})
      const become = (state: NovncState) => Object.assign(globalThis, { novncState: state })
      rfb.addEventListener('connect', () => become('connected'))
      rfb.addEventListener('disconnect', ({ detail }) => become(detail.clean ? 'disconnected' : 'lost'))
    },
    [url],
  )
}

export const novncState = (page: Page): Promise<NovncState> => page.evaluate("globalThis.novncState ?? ''")

interface NovncWindow {
  readonly RFB: new (
    target: unknown,
    url: string,
    options: object,
  ) => { addEventListener(type: string, listener: (event: { detail: { clean: boolean } }) => void): void }
  readonly document: { readonly body: unknown }
}
