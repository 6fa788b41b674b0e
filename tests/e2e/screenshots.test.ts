/** Screenshots of a real guest, through api and proxy as two processes. */
import { decodePng } from '@oriel/console'
import { type QemuGuest, requires, startQemu } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Pair, SERVICE_TOKEN, startPair } from './parts/oriel.ts'
import { asScreenViewer } from './parts/rfb-screen.ts'

const { skip, reason } = requires('qemu')
const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

describe.skipIf(skip)(`a screenshot of a real guest${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let guest: QemuGuest
  let oriel: Pair

  beforeAll(async () => {
    guest = parts.use(await startQemu({ name: 'web-1', uuid: id, paused: true }))
    const vnc = { host: guest.host, port: guest.vncPort }
    oriel = parts.use(
      await startPair({
        servers: [
          { id, name: 'web-1', consoles: { vnc } },
          { id: 'dead', name: 'dead', consoles: { vnc: { ...vnc, port: 1 } } },
        ],
        proxy: {
          authority: { kind: 'oriel', auth: { method: 'token', token: SERVICE_TOKEN } },
          sessions: { share: 'exclusive' },
        },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())

  const sessions = async () => (await oriel.client.oriel.listSessions({ query: { server_id: id } })).sessions

  it('equals QEMU’s own picture pixel for pixel, by one session for simultaneous requests', async () => {
    const shots = await Promise.all([1, 2, 3].map(() => oriel.client.oriel.showScreenshot({ server_id: id })))
    const dump = await guest.screendump()
    for (const shot of shots) {
      expect(shot.type).toBe('image/png')
      const { width, height, rgba } = decodePng(new Uint8Array(await shot.arrayBuffer()))
      expect([width, height]).toEqual([dump.width, dump.height])
      expect(
        Buffer.compare(
          rgba.filter((_, i) => i % 4 < 3),
          dump.data,
        ),
      ).toBe(0)
    }
    expect((await sessions()).map(({ role, label, user_id }) => [role, label, user_id])).toEqual([
      ['watch', 'Screenshot', 'alice'],
    ])
  })

  it('sends nothing to the owner of an exclusive console, and does not end that session', async () => {
    const { url } = await oriel.client.createConsole(id, 'novnc')
    const socket = new WebSocket(socketOf(url), ['binary'])
    const received: Buffer[] = []
    socket.on('message', (data: Buffer) => received.push(data))
    const owner = await asScreenViewer(socket, 1)
    await owner.roundTrip()
    const before = Buffer.concat(received)
    const shot = await oriel.client.oriel.showScreenshot({ server_id: id, query: { text: '1' } })
    expect(shot.type).toBe('text/plain; charset=utf-8')
    expect(Buffer.concat(received).equals(before)).toBe(true)
    await owner.roundTrip()
    socket.close()
  })

  it('says that the console cannot be reached', async () => {
    const failed = oriel.client.oriel.showScreenshot({ server_id: 'dead' })
    await expect(failed).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching(/^The proxy did not open the console: /),
    })
  })
})

const socketOf = (url: string) => `ws://${new URL(url).host}/${new URL(url).searchParams.get('path')}`
