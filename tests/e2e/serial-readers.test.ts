/** Several viewers of one serial port of a real QEMU, which itself serves only one connection of the port. */
import { once } from 'node:events'
import { freePort, type QemuGuest, requires } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { countedLines, LINES, startCountingGuest } from './parts/counting-guest.ts'
import { type Pair, startPair } from './parts/oriel.ts'

const { skip, reason } = requires('qemu')
const READERS = 50

describe.skipIf(skip)(`a serial port of a real QEMU guest with many viewers${reason}`, () => {
  const id = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c02'
  const parts = new AsyncDisposableStack()
  let guest: QemuGuest
  let oriel: Pair
  let printed = 0

  beforeAll(async () => {
    guest = parts.use(await startCountingGuest('counts-1', id))
    const port = await freePort()
    oriel = parts.use(
      await startPair({
        servers: [{ id, name: 'counts-1', consoles: { serial: { host: guest.host, port: guest.serialPort } } }],
        api: { consoles: { serial: { base_url: `ws://127.0.0.1:${port}/` } } },
        proxy: {
          listen: [{ address: `127.0.0.1:${port}`, consoles: ['serial'] }],
          sessions: { max_per_instance: 2 * READERS, max_per_client: 2 * READERS },
        },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())

  it('shows 49 viewers the same output while a 50th one reads nothing, which then has it too', async () => {
    const viewers = await Promise.all(Array.from({ length: READERS }, () => view()))
    const stalled = viewers[0]!
    stalled.socket.pause()
    printLines(viewers[1]!.socket)
    const expected = countedLines(printed)
    for (const viewer of viewers.slice(1)) expect(await viewer.output(expected.length)).toBe(expected)
    stalled.socket.resume()
    expect(await stalled.output(expected.length)).toBe(expected)
    for (const { socket } of viewers) socket.terminate()
    await closed(viewers)
  })

  it('shows a second viewer the earlier output at once, and stays open when the first one leaves', async () => {
    const first = await view()
    const earlier = countedLines(printed)
    expect(await first.output(earlier.length)).toBe(earlier)
    const second = await view()
    expect(await second.output(earlier.length)).toBe(earlier)
    first.socket.terminate()
    await closed([first])
    printLines(second.socket)
    const all = countedLines(printed)
    expect(await second.output(all.length)).toBe(all)
    second.socket.terminate()
  })

  /** Makes the guest print its next lines. */
  const printLines = (socket: WebSocket) => {
    socket.send('x')
    printed += LINES
  }

  async function view() {
    const body = { remote_console: { protocol: 'serial', type: 'serial' } } as const
    const created = await oriel.client.at('2.6').createRemoteConsole({ server_id: id, body })
    const socket = new WebSocket(created.remote_console.url, ['binary'])
    const collected = collect(socket)
    await once(socket, 'open')
    return { socket, output: collected }
  }
})

/** Returns what waits for the first bytes of the output. */
function collect(socket: WebSocket): (length: number) => Promise<string> {
  let text = ''
  let news = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    text += data.toString('latin1')
    news.resolve()
    news = Promise.withResolvers()
  })
  return async (length) => {
    while (text.length < length) await news.promise
    return text
  }
}

const closed = (viewers: readonly { readonly socket: WebSocket }[]) =>
  Promise.all(viewers.map(({ socket }) => (socket.readyState === socket.CLOSED ? undefined : once(socket, 'close'))))
