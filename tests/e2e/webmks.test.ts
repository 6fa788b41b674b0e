/** WebMKS consoles: from a token through CONNECT to a stub of a VMware host. */
import { once } from 'node:events'
import { freePort, type Peer, requires, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Pair, startPair } from './parts/oriel.ts'
import { complaintsOf } from './parts/page.ts'

/** The internal access path as Nova's VMware driver writes it. */
const PATH = '{"ticket": "52 7d c3", "cfgFile": "[store] web-1/web-1.vmx", "thumbprint": "aa:bb"}'

describe('a WebMKS console', () => {
  const good = '1a6b5a64-3e0f-4a52-9a1c-7d1b1e1f0a01'
  const refusing = '1a6b5a64-3e0f-4a52-9a1c-7d1b1e1f0a02'
  const parts = new AsyncDisposableStack()
  let oriel: Pair
  let origin: string

  beforeAll(async () => {
    const hosts = [parts.use(await scriptedServer(serveMks)), parts.use(await scriptedServer(refuseMks))]
    const port = await freePort()
    origin = `http://127.0.0.1:${port}`
    const at = ({ host, port }: ScriptedServer) => ({ mks: { host, port, internal_access_path: PATH } })
    oriel = parts.use(
      await startPair({
        servers: [good, refusing].map((id, i) => ({ id, name: id, consoles: at(hosts[i]!) })),
        api: { consoles: { webmks: { enabled: true, base_url: `${origin}/webmks.html` } } },
        proxy: { listen: [{ address: `127.0.0.1:${port}`, consoles: ['webmks'] }] },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())

  it('is relayed from the first byte after the response to CONNECT', async () => {
    const socket = new WebSocket(await socketOf(good), ['binary'])
    const first = once(socket, 'message')
    await once(socket, 'open')
    expect(String((await first)[0])).toBe('MKS first')
    const second = once(socket, 'message')
    socket.send(Buffer.from('key'))
    expect(String((await second)[0])).toBe('key')
    socket.close()
    await once(socket, 'close')
  })

  it('is refused with 502 if the host refuses the access path', async () => {
    const socket = new WebSocket(await socketOf(refusing))
    const [, response] = await once(socket, 'unexpected-response')
    expect(response.statusCode).toBe(502)
    socket.on('error', () => {})
    socket.terminate()
    await oriel.proxy.waitForLog(({ detail }) => detail === 'CONNECT failed with status 403')
  })

  const { skip, reason } = requires('chromium')
  it.skipIf(skip)(`has a page that says where to get the viewer${reason}`, async () => {
    await using browser = await startChromium()
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await page.goto((await oriel.client.createConsole(good, 'webmks')).url)
    await page.getByText("The viewer for WebMKS consoles is VMware's HTML Console SDK.").waitFor()
    expect(complaints).toEqual([])
  })

  /** Creates a console, and returns the WebSocket URL that a viewer dials. */
  const socketOf = async (id: string) => {
    const { url } = await oriel.client.createConsole(id, 'webmks')
    return url.replace('http://', 'ws://').replace('/webmks.html', '/')
  }
})

async function serveMks(peer: Peer): Promise<void> {
  await peer.expect(Buffer.from(`CONNECT ${PATH} HTTP/1.1\r\n\r\n`))
  await peer.send(Buffer.from('HTTP/1.1 200 OK\r\nX-Host: mks\r\n\r\nMKS first'))
  peer.socket.on('error', () => {})
  peer.socket.pipe(peer.socket)
  await peer.closed({ timeoutMs: 600_000 })
}

async function refuseMks(peer: Peer): Promise<void> {
  await peer.expect(Buffer.from(`CONNECT ${PATH} HTTP/1.1\r\n\r\n`))
  await peer.send(Buffer.from('HTTP/1.1 403 Forbidden, not 200\r\n\r\n'))
}
