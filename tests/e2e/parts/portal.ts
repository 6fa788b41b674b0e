/** A portal of somebody else: serves a bundled page, and creates consoles for it. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rolldown } from 'rolldown'

export interface PortalOptions {
  /** The page. Its script is at the address that the page has for `script`'s file name. */
  readonly html: string
  /** The path of the page's script, which is bundled with what it imports. */
  readonly script: string
  /** Creates a console, and returns its access URL. */
  readonly mint: () => Promise<string>
}

/** Starts the portal, and returns its address. */
export async function startPortal({ html, script, mint }: PortalOptions): Promise<URL & AsyncDisposable> {
  const scripts = await bundled(script)
  const server = createServer(async ({ method, url = '' }, response) => {
    const code = scripts.get(url.slice(1))
    if (url === '/') send(response, 'text/html', html)
    else if (code !== undefined) send(response, 'text/javascript', code)
    else if (method === 'POST' && url === '/console')
      send(response, 'application/json', JSON.stringify({ url: await mint() }))
    else send(response, 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return Object.assign(address, {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}

const send = (response: ServerResponse, type: string, body: string) =>
  response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(body)

/** Bundles a script as a portal does. Its entry keeps its name, so that the page need not be built. */
async function bundled(script: string): Promise<Map<string, string>> {
  const bundle = await rolldown({
    input: script,
    platform: 'browser',
    resolve: { conditionNames: ['@oriel/source', 'import', 'browser', 'default'] },
    logLevel: 'silent',
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true, entryFileNames: '[name].ts' })
  await bundle.close()
  return new Map(output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file.code] as const] : [])))
}
