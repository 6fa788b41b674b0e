/** Watchers of a real guest's VNC console, whose clients send all that a client can send. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ConsoleRole, closeReasons, refusals } from '@oriel/contract'
import {
  freePort,
  type QemuGuest,
  type QmpEvent,
  type RunningProgram,
  requires,
  startQemu,
  temporaryFolder,
} from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { continuousUpdates, fence, input, keyEvent, setEncodings } from '@oriel/testkit/rfb-messages'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Gate, startGate } from './parts/gate.ts'
import { listening, merge, type Pair, proxyConfig, startApp, startPair } from './parts/oriel.ts'
import { canvasOf, untilShows } from './parts/page.ts'
import { samePicture, settled } from './parts/pictures.ts'
import { newPageKey, openPresence, withPageKey } from './parts/presence.ts'
import { asScreenViewer } from './parts/rfb-screen.ts'
import { BEAT_SECONDS, pathOf, refusalOf } from './parts/sessions.ts'

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
  let otherProxyPort: number
  let otherProxy: RunningProgram
  /** The link of the other proxy to the api. */
  let link: Gate
  let trace: string

  beforeAll(async () => {
    trace = join(parts.use(await temporaryFolder()).path, 'trace')
    guest = parts.use(await startQemu({ name: 'web-1', uuid: randomUUID(), vnc: false, args: vncWithAllInput(trace) }))
    collectEvents()
    const { service } = (await guest.qmp('query-vnc')) as { service: string }
    oriel = parts.use(await startOriel(guest, Number(service)))
    otherProxyPort = await freePort()
    link = parts.use(await startGate(oriel.apiPort))
    otherProxy = parts.use(await startApp('proxy', merge(proxyConfig(link.port, otherProxyPort), PROXY)))
    await listening(otherProxy)
  })
  afterAll(() => parts.disposeAsync())

  it('sends no input, whichever message it sends and wherever it is cut, while the owner types', async () => {
    using owner = await viewer('control')
    using watcher = await viewer('watch')
    await sendAllInputCut(watcher)
    await expectInputOnlyOf(owner, [])
  }, 60_000)

  it.each(['watch', 'control'] as const)(
    'sends no input at another proxy than the owner, who alone has control, with the role %s',
    async (role) => {
      const earlier = await inputOfGuest()
      const key = newPageKey()
      using owner = await viewer('control', { key })
      using presence = await openPresence(oriel.proxyPort, key)
      await presence.untilState(({ participants }) => participants.length === 1)
      presence.send({ type: 'take_control' })
      await presence.untilState(({ you, control }) => control.held_by === you)
      using hostile = await viewer(role, { port: otherProxyPort })
      await presence.untilState(({ participants }) => participants.length === 2)
      await sendAllInputCut(hostile)
      await expectInputOnlyOf(owner, earlier)
    },
    60_000,
  )

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
    using watcher = await viewer('watch', { shared: 0 })
    await owner.roundTrip()
    await watcher.roundTrip()
    using _exclusive = await viewer('control', { shared: 0 })
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
    const key = newPageKey()
    using owner = await viewer('control', { key })
    using _watcher = await viewer('watch')
    owner.send(keyEvent)
    await owner.roundTrip()
    const held = await inputOfGuest()
    using presence = await openPresence(oriel.proxyPort, key)
    const { participants } = await presence.untilState(() => true)
    const to = participants.findLast(({ role }) => role === 'watch')!.id
    presence.send({ type: 'give_control', to })
    await expect.poll(inputOfGuest).toEqual([...held, 'input_event_key_qcode'])
  }, 60_000)

  it('sends no input, nor do others gain control, while a proxy is cut off from the api and once it is back', async () => {
    const [annKey, beaKey, cidKey, danKey] = [newPageKey(), newPageKey(), newPageKey(), newPageKey()]
    const { oriel: api } = oriel.client
    using ann = await viewer('control', { key: annKey, label: 'Ann' })
    using annPage = await openPresence(oriel.proxyPort, annKey)
    const { you: annId } = await annPage.untilState(() => true)
    const guestOfAnn = { session_id: annId, body: { role: 'watch', label: 'Cid' } } as const
    const { invitation } = await api.createInvitation(guestOfAnn)
    using cid = await viewer('watch', { path: pathOf(invitation.url), key: cidKey, port: otherProxyPort })
    using cidPage = await openPresence(otherProxyPort, cidKey)
    using bea = await viewer('control', { key: beaKey, label: 'Bea', port: otherProxyPort })
    using beaPage = await openPresence(otherProxyPort, beaKey)
    using dan = await viewer('control', { key: danKey, label: 'Dan' })
    using danPage = await openPresence(oriel.proxyPort, danKey)
    const { you: danId } = await danPage.untilState(() => true)
    annPage.send({ type: 'take_control' })
    for (const page of [beaPage, cidPage])
      await page.untilState(({ participants, control }) => participants.length === 4 && control.held_by === annId)

    const late = pathOf(await urlOf(oriel, guest, 'control'))
    const earlier = await inputOfGuest()
    link.sever()
    expect(await refusalOf(otherProxyPort, late)).toEqual({ status: 503, text: refusals.authority_unavailable.text })
    const undecided = 'The service that decides about control does not answer. Try again in a moment.'
    expect(await beaPage.refusalOf({ type: 'take_control' })).toBe(undecided)
    expect(await cidPage.refusalOf({ type: 'request_control' })).toBe(undecided)
    for (const withheld of [bea, cid]) {
      withheld.send(Buffer.concat([keyEvent, released]))
      await withheld.roundTrip()
    }
    await expectInputOnlyOf(ann, earlier)
    const { participants } = await beaPage.untilState(({ participants }) => participants.length === 4)
    expect(participants.filter(({ has_control }) => has_control).map(({ id }) => id)).toEqual([annId])

    await api.revokeInvitation({ session_id: annId, invitation_id: invitation.id })
    annPage.send({ type: 'give_control', to: danId })
    await danPage.untilState(({ control }) => control.held_by === danId)
    await otherProxy.waitForLog(({ msg }) => String(msg).includes('so this proxy decides alone'))
    const alone = await cidPage.untilState(({ participants }) => participants.length === 2)
    expect(alone.participants.find(({ role }) => role === 'watch')).toMatchObject({ has_control: false })
    const meanwhile = await inputOfGuest()
    cid.send(Buffer.concat([keyEvent, released]))
    await cid.roundTrip()
    expect(await inputOfGuest()).toEqual(meanwhile)

    await expect.poll(() => stepsOf('Bea')).toEqual(['admitted', 'ended proxy_lost'])
    link.mend()
    expect(await cid.closed).toBe(closeReasons.revoked.code)
    for (const page of [annPage, beaPage, danPage]) {
      const state = await page.untilState(
        ({ control, participants: { length } }) => length === 3 && control.held_by === danId,
      )
      expect(state.participants.map(({ label }) => label).sort()).toEqual(['Ann', 'Bea', 'Dan'])
    }
    for (const withheld of [bea, ann]) {
      withheld.send(Buffer.concat([keyEvent, released]))
      await withheld.roundTrip()
    }
    await expectInputOnlyOf(dan, meanwhile)
    expect(stepsOf('Bea')).toEqual(['admitted', 'ended proxy_lost', 'returned'])
    await expect.poll(() => stepsOf('Cid')).toEqual(['admitted', 'ended proxy_lost', 'returned', 'ended revoked'])
  }, 120_000)

  it('would have sent input that the guest and its machine take, with the role control', async () => {
    using controller = await viewer('control')
    controller.send(Buffer.concat([ALL_EXTENSIONS, ...Object.values(input)]))
    await expect.poll(() => events.map(({ event }) => event), { timeout: 20_000 }).toContain('RESET')
    const seen = ['input_event_key_qcode', 'input_event_btn', 'input_event_rel', 'vnc_msg_client_set_desktop_size']
    expect(await inputOfGuest()).toEqual(expect.arrayContaining(seen))
  }, 60_000)

  interface ViewerOptions {
    /** The flag in ClientInit. */
    readonly shared?: number
    readonly key?: string
    readonly port?: number
    /** Default: that of a new console. */
    readonly path?: string
    readonly label?: string
  }

  async function viewer(role: ConsoleRole, options: ViewerOptions = {}) {
    const { shared = 1, key, port = oriel.proxyPort, path, label } = options
    const dialled = path ?? pathOf(await urlOf(oriel, guest, role, label))
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${dialled}`, withPageKey(key))
    const closed = once(socket, 'close').then(([code]) => code as number)
    const screen = await asScreenViewer(socket, shared)
    return {
      ...{ ...screen, closed },
      send: (bytes: Uint8Array) => socket.send(bytes),
      [Symbol.dispose]: () => socket.terminate(),
    }
  }

  type Viewer = Awaited<ReturnType<typeof viewer>>

  /** Sends each message that is input, cut at each byte, and waits until QEMU has read them. */
  async function sendAllInputCut(hostile: Viewer): Promise<void> {
    hostile.send(ALL_EXTENSIONS)
    for (const message of Object.values(input)) {
      for (let at = 0; at <= message.length; at += 1) {
        hostile.send(message.subarray(0, at))
        hostile.send(message.subarray(at))
      }
      await hostile.roundTrip()
    }
  }

  /** Checks that the guest got no input since `earlier`, and that the owner can still type. */
  async function expectInputOnlyOf(owner: Viewer, earlier: readonly string[]): Promise<void> {
    expect(await inputOfGuest()).toEqual(earlier)
    owner.send(Buffer.concat([keyEvent, released]))
    await owner.roundTrip()
    expect(await inputOfGuest()).toEqual([...earlier, 'input_event_key_qcode', 'input_event_key_qcode'])
    expect(events.map(({ event }) => event)).not.toContain('RESET')
  }

  /** The steps in the API's audit trail of the sessions with this label. */
  const stepsOf = (label: string) =>
    oriel.api.records
      .filter((record) => record.label === label && /^(admitted|ended|returned)$/.test(String(record.audit)))
      .map(({ audit, reason }) => (audit === 'ended' ? `ended ${reason}` : String(audit)))

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
  return startPair({ servers, api: { sessions: { beat_seconds: BEAT_SECONDS } }, proxy: PROXY })
}

const PROXY = { authority: { kind: 'oriel' }, hypervisor: { identity: 'enforce' } }

const urlOf = async ({ client }: Pair, { uuid: server_id }: QemuGuest, role: ConsoleRole, label?: string) =>
  (await client.oriel.createConsole({ server_id, body: { type: 'novnc', role, ...(label && { label }) } })).console.url

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
