/** Watchers of a real guest's VNC console, whose clients send all that a client can send. */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConsoleRole } from '@oriel/contract'
import { type QemuGuest, type QmpEvent, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { continuousUpdates, fence, input, keyEvent, setEncodings } from '@oriel/testkit/rfb-messages'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Pair, startPair } from './parts/oriel.ts'
import { canvasOf, untilShows } from './parts/page.ts'
import { samePicture, settled } from './parts/pictures.ts'
import { asScreenViewer } from './parts/rfb-screen.ts'

const { skip, reason } = requires('qemu')
const page = requires('qemu', 'chromium')
const [EXTENDED_KEYS, DESKTOP_SIZE] = [-258, -308]
/** Raw pixels, and each extension by which QEMU announces that it takes more input. */
const ALL_EXTENSIONS = setEncodings([0, EXTENDED_KEYS, DESKTOP_SIZE, -309, -259, 0xc0a1e5ce | 0])

describe.skipIf(skip)(`a watcher of a real QEMU guest${reason}`, () => {
  const parts = new AsyncDisposableStack()
  const events: QmpEvent[] = []
  let guest: QemuGuest
  let oriel: Pair
  let trace: string

  beforeAll(async () => {
    trace = join(parts.use(await temporaryFolder()).path, 'trace')
    guest = parts.use(await startQemu({ name: 'web-1', uuid: randomUUID(), vnc: false, args: vncWithAllInput(trace) }))
    collectEvents()
    const { service } = (await guest.qmp('query-vnc')) as { service: string }
    oriel = parts.use(await startOriel(guest, Number(service)))
  })
  afterAll(() => parts.disposeAsync())

  it('sends no input, whichever message it sends and wherever it is cut, while the owner types', async () => {
    using owner = await viewer('control')
    using watcher = await viewer('watch')
    watcher.send(ALL_EXTENSIONS)
    for (const message of Object.values(input)) {
      for (let at = 0; at <= message.length; at += 1) {
        watcher.send(message.subarray(0, at))
        watcher.send(message.subarray(at))
      }
      await watcher.roundTrip()
    }
    expect(await inputOfGuest()).toEqual([])
    owner.send(Buffer.concat([keyEvent, released]))
    await owner.roundTrip()
    expect(await inputOfGuest()).toEqual(['input_event_key_qcode', 'input_event_key_qcode'])
    expect(events.map(({ event }) => event)).not.toContain('RESET')
  }, 60_000)

  it('is offered no extension but those by which it types once it has control, and the size of the desktop', async () => {
    using watcher = await viewer('watch')
    watcher.send(ALL_EXTENSIONS)
    expect(await watcher.roundTrip()).toEqual({ types: [0, 0], encodings: [EXTENDED_KEYS, DESKTOP_SIZE] })
    using owner = await viewer('control')
    owner.send(ALL_EXTENSIONS)
    const [clipboard, audio, xvp] = [3, -259, 250]
    expect(await owner.roundTrip()).toEqual({
      types: [clipboard, 0, xvp, 0, 0],
      encodings: [audio, EXTENDED_KEYS, DESKTOP_SIZE],
    })
  }, 60_000)

  it('ends no session by a ClientInit that asks for the desktop alone, unlike a session with control', async () => {
    using owner = await viewer('control')
    using watcher = await viewer('watch', 0)
    await owner.roundTrip()
    await watcher.roundTrip()
    using _exclusive = await viewer('control', 0)
    expect(await owner.closed).toBe(1000)
  }, 60_000)

  it.each(unknown)(
    'ends no other session with %s',
    async (_, message, code) => {
      using owner = await viewer('control')
      using watcher = await viewer('watch')
      const earlier = (await inputOfGuest()).length
      watcher.send(Buffer.concat([message, keyEvent, keyEvent]))
      expect(await watcher.closed).toBe(code)
      await owner.roundTrip()
      expect(await inputOfGuest()).toHaveLength(earlier)
    },
    60_000,
  )

  it('finds no key held by the guest once it is given control by the owner, who holds one', async () => {
    const key = randomBytes(16).toString('base64url')
    using owner = await viewer('control', 1, key)
    using _watcher = await viewer('watch')
    owner.send(keyEvent)
    await owner.roundTrip()
    const held = await inputOfGuest()
    const page = ['oriel.presence', `oriel.page.${key}`]
    const presence = new WebSocket(`ws://127.0.0.1:${oriel.proxyPort}/oriel.session`, page)
    const [data] = await once(presence, 'message')
    const { participants } = JSON.parse(String(data)) as { participants: { id: string; role: string }[] }
    const to = participants.findLast(({ role }) => role === 'watch')!.id
    presence.send(JSON.stringify({ type: 'give_control', to }))
    await expect.poll(inputOfGuest).toEqual([...held, 'input_event_key_qcode'])
    presence.terminate()
  }, 60_000)

  it('would have sent input that the guest and its machine take, with the role control', async () => {
    using controller = await viewer('control')
    controller.send(Buffer.concat([ALL_EXTENSIONS, ...Object.values(input)]))
    await expect.poll(() => events.map(({ event }) => event), { timeout: 20_000 }).toContain('RESET')
    const seen = ['input_event_key_qcode', 'input_event_btn', 'input_event_rel', 'vnc_msg_client_set_desktop_size']
    expect(await inputOfGuest()).toEqual(expect.arrayContaining(seen))
  }, 60_000)

  async function viewer(role: ConsoleRole, shared = 1, pageKey?: string) {
    const path = new URL(await urlOf(oriel, guest, role)).searchParams.get('path')
    const socket = new WebSocket(`ws://127.0.0.1:${oriel.proxyPort}/${path}`, [
      'binary',
      ...(pageKey ? [`oriel.page.${pageKey}`] : []),
    ])
    const closed = once(socket, 'close').then(([code]) => code as number)
    const screen = await asScreenViewer(socket, shared)
    return {
      ...{ ...screen, closed },
      send: (bytes: Uint8Array) => socket.send(bytes),
      [Symbol.dispose]: () => socket.terminate(),
    }
  }

  async function collectEvents(): Promise<void> {
    for await (const event of guest.events) events.push(event)
  }

  /** The names of the events by which QEMU passed input to the guest. */
  const inputOfGuest = async () =>
    (await readFile(trace, 'utf8')).match(/\b(input_event_(?!sync)|vnc_msg_client_)\w+/g) ?? []
})

describe.skipIf(page.skip)(`the page of a watcher of a real QEMU guest${page.reason}`, () => {
  it('shows the same picture as the page of the owner, and only the owner presses the ESC key', async () => {
    await using guest = await startQemu({ name: 'web-2', uuid: randomUUID() })
    await using oriel = await startOriel(guest, guest.vncPort!)
    await using browser = await startChromium()
    const [owner, watcher] = await Promise.all(
      (['control', 'watch'] as const).map(async (role) => {
        const tab = await browser.newPage()
        await tab.goto(await urlOf(oriel, guest, role))
        return tab
      }),
    )
    await settled(guest)
    const screen = await untilShows(watcher!, guest)
    await canvasOf(watcher!).click()
    await watcher!.keyboard.press('Escape')
    await settled(guest)
    expect(samePicture(await untilShows(watcher!, guest), screen)).toBe(true)
    await canvasOf(owner!).click()
    await owner!.keyboard.press('Escape')
    await untilShows(watcher!, guest, (picture) => !samePicture(picture, screen))
  }, 120_000)
})

/** Starts api and proxy with one server, whose VNC console is that of `guest`. */
function startOriel({ uuid: id, name, host }: QemuGuest, port: number): Promise<Pair> {
  const servers = [{ id, name, consoles: { vnc: { host, port } } }]
  return startPair({ servers, proxy: { authority: { kind: 'oriel' }, hypervisor: { identity: 'enforce' } } })
}

const urlOf = async ({ client }: Pair, { uuid: server_id }: QemuGuest, role: ConsoleRole) =>
  (await client.oriel.createConsole({ server_id, body: { type: 'novnc', role } })).console.url

const released = Buffer.of(4, 0, 0, 0, 0, 0, 0, 97)
const [ENDED_BY_QEMU, PROTOCOL_ERROR] = [1000, 1002]
const unknown = [
  ['an unknown type', Buffer.of(7), PROTOCOL_ERROR],
  ['a fence of 255 bytes', fence(255), PROTOCOL_ERROR],
  ['an unknown message of QEMU', Buffer.of(255, 9, 0, 0), PROTOCOL_ERROR],
  [
    'a list of 65535 encodings',
    setEncodings(
      Array.from({ length: 300 }, () => 0),
      65_535,
    ),
    PROTOCOL_ERROR,
  ],
  ['a message of an extension that QEMU lacks', continuousUpdates, ENDED_BY_QEMU],
] as const

/** QEMU's VNC server with audio and power buttons, and a trace of the input. */
const vncWithAllInput = (trace: string) => [
  ...['-audiodev', 'none,id=sound', '-vnc', '127.0.0.1:0,to=9999,power-control=on,audiodev=sound'],
  ...['-trace', 'input_event_*', '-trace', 'vnc_msg_client_*', '-D', trace],
]
