/** Serves pages that have nothing but noVNC: the least that a console's page can be. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

export interface NovncSite extends AsyncDisposable {
  /** Returns the address of the page that opens the console at `webSocket`, with noVNC as one script or as it is published. */
  page(form: 'bundle' | 'modules', webSocket: string): string
}

/** The class RFB of noVNC. */
const ENTRY = fileURLToPath(import.meta.resolve('@novnc/novnc'))
/** The folder of its package. */
const PUBLISHED = new URL('../', import.meta.resolve('@novnc/novnc'))

const html = (script: string) => `<!doctype html><title>noVNC</title>
<style>html, body { height: 100%; margin: 0 }</style>
<body><script type="module">
import RFB from './${script}'
new RFB(document.body, new URL(location.href).searchParams.get('console'))
</script>`

export async function startNovncSite(): Promise<NovncSite> {
  const bundle = await bundled()
  const answers: Readonly<Record<string, string>> = {
    '/bundle.html': html('bundle.js'),
    '/bundle.js': bundle,
    '/modules.html': html('core/rfb.js'),
  }
  const server = createServer(async ({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://site')
    const body = answers[pathname] ?? (await readFile(new URL(`.${pathname}`, PUBLISHED)).catch(() => undefined))
    const type = pathname.endsWith('.html') ? 'text/html' : 'text/javascript'
    if (body === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'Content-Type': type }).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    page: (form, webSocket) => `http://127.0.0.1:${port}/${form}.html?console=${encodeURIComponent(webSocket)}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await server[Symbol.asyncDispose]()
    },
  }
}

async function bundled(): Promise<string> {
  await using bundle = await rolldown({ input: ENTRY, platform: 'browser', logLevel: 'silent' })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  return output[0].code
}
