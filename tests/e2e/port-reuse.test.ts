/**
 * CVE-2013-0335 port reuse, with the running proxy and a stub of Nova: guest A stops, guest B boots on its ports, and A
 * restarts on other ports. The guests are real QEMU processes with VNC, serial and SPICE consoles.
 */
import { randomUUID } from 'node:crypto'
import {
  freePort,
  type NovaServer,
  type NovaStub,
  type QemuGuest,
  type RunningProgram,
  requires,
  startNovaStub,
  startQemu,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, startApp } from './parts/oriel.ts'

const { skip, reason } = requires('qemu')
const A = { uuid: '8a1fd3c2-4d0e-4b52-9d3a-0a6b1f1f7c01', name: 'instance-0000002a' }
const B = { uuid: 'b0a1d3c2-4d0e-4b52-9d3a-0a6b1f1f7c02', name: 'instance-0000002b' }
const TYPES = ['novnc', 'serial', 'spice-html5'] as const
type Type = (typeof TYPES)[number]
type Ports = Readonly<Record<Type, number>>

/** The result of opening a console: an HTTP status, a close code, or the first bytes of the guest. */
interface Outcome {
  readonly status?: number
  readonly code?: number
  readonly received: Buffer
}

describe.skipIf(skip).each(['fresh', 'state'] as const)(
  `CVE-2013-0335 port reuse with authority.validate = "%s"${reason}:`,
  (validate) => {
    const parts = new AsyncDisposableStack()
    const tokens = { novnc: randomUUID(), serial: randomUUID(), 'spice-html5': randomUUID() }
    let ports: Ports
    let nova: NovaStub
    let proxy: RunningProgram
    let address: string
    let b: QemuGuest
    let returned: QemuGuest

    const places = (of: Ports) => Object.fromEntries(TYPES.map((type) => [type, { host: '127.0.0.1', port: of[type] }]))
    const change = (to: Partial<NovaServer>) => nova.servers.set(A.uuid, { ...nova.servers.get(A.uuid)!, ...to })

    beforeAll(async () => {
      ports = { novnc: await freePort(), serial: await freePort(), 'spice-html5': await freePort() }
      const leads = TYPES.map((type) => [tokens[type], { instance_uuid: A.uuid, host: '127.0.0.1', port: ports[type] }])
      nova = parts.use(
        await startNovaStub({
          tokens: Object.fromEntries(leads),
          servers: { [A.uuid]: { name: 'web-1', instanceName: A.name, consoles: places(ports) } },
          adminToken: 'service-secret',
        }),
      )
      if (validate === 'state') nova.forbidden.add('os-remote-consoles')
      // No key sets the protection: the default depends on kind = "nova" and on the rights of the proxy in Nova.
      proxy = parts.use(
        await startApp('proxy', {
          authority: { kind: 'nova', endpoint: nova.url, auth: { method: 'token', token: 'service-secret' } },
          listen: [{ address: '127.0.0.1:0', consoles: [...TYPES] }],
          admin: { listen: '127.0.0.1:0' },
        }),
      )
      address = String((await listening(proxy)).address)
    }, 60_000)
    afterAll(() => parts.disposeAsync())

    it('the consoles of A open while A runs, and /readyz shows their protection', async () => {
      await using _a = await startGuest(A, ports)
      for (const type of TYPES) {
        const { status, code } = await opened(type)
        expect([type, status, code]).toEqual([type, undefined, undefined])
      }
      const admin = (await proxy.waitForLog(({ listener }) => listener === 'admin')).address
      const text = await (await fetch(`http://${admin}/readyz`)).text()
      expect(text).toContain(`validate ${validate}:`)
    }, 60_000)

    it('the old addresses of A are refused, without a byte of B, after A has stopped and B has booted on its ports', async () => {
      b = parts.use(await startGuest(B, ports))
      change({ vmState: 'stopped', powerState: 4, consoles: places({ novnc: -1, serial: -1, 'spice-html5': -1 }) })
      await answersOutdated()
      for (const type of TYPES) {
        const { status, received } = await opened(type)
        expect({ type, status, received }).toEqual({ type, status: 503, received: Buffer.alloc(0) })
      }
      expect(await connectedSerial(b)).toBe(false)
    }, 60_000)

    it('a VNC token at the address of serial consoles is refused while A runs elsewhere', async () => {
      returned = parts.use(await startGuest(A))
      const now = { novnc: returned.vncPort!, serial: returned.serialPort!, 'spice-html5': returned.spicePort! }
      change({ vmState: 'active', powerState: 1, consoles: places(now) })
      const token = randomUUID()
      nova.tokens.set(token, { instance_uuid: A.uuid, host: '127.0.0.1', port: now.novnc })
      await answersOutdated()
      const outcome = await opened('serial', token)
      expect(outcome.received).toHaveLength(0)
      if (validate === 'fresh') expect(outcome.status).toBe(403)
      else expect(outcome.code).toBe(4009)
    }, 60_000)

    if (validate === 'fresh')
      it('the serial console of A opens at its new port after A has rebooted', async () => {
        using serial = await openSocket('serial')
        expect(await connectedSerial(returned)).toBe(true)
        expect(await connectedSerial(b)).toBe(false)
        await returned.qmp('system_reset')
        await expect.poll(() => serial.text(), { timeout: 20_000 }).toContain('SeaBIOS')
        await proxy.waitForLog(
          ({ msg, to }) =>
            msg === 'the console has moved: dialling its new address' && to === `127.0.0.1:${returned.serialPort}`,
        )
      }, 60_000)

    if (validate === 'fresh')
      it('the old VNC address of A opens the console of A at its new port', async () => {
        const { received } = await opened('novnc')
        expect(received.toString('latin1')).toContain(`QEMU (${A.name})`)
      }, 60_000)

    if (validate === 'state')
      it('the old VNC address of A ends without a byte of B, although the display name of A is the libvirt name of B', async () => {
        change({ name: B.name })
        await answersOutdated()
        const { code, received } = await opened('novnc')
        expect(code).toBe(4009)
        expect(received).toHaveLength(0)
        const ended = await proxy.waitForLog(
          ({ msg, reason: why }) => msg === 'session ended' && why === 'wrong_instance',
        )
        expect(JSON.stringify(proxy.records)).toContain(`the guest is \\"${B.name}\\"; the instance is \\"${A.name}\\"`)
        expect(ended).toMatchObject({ bytesToClient: 0 })
      }, 60_000)

    it('the log contains no token', () => {
      const log = JSON.stringify(proxy.records)
      for (const token of nova.tokens.keys()) expect(log).not.toContain(token)
    })

    /** Waits until the proxy's cache of Nova's answers has expired, which takes a second. */
    const answersOutdated = () => new Promise((resolve) => setTimeout(resolve, 1_100))

    async function openSocket(type: Type, token = tokens[type]) {
      const socket = new WebSocket(`ws://${address}/${type}/?token=${token}`, ['binary'])
      let received = Buffer.alloc(0)
      socket.on('message', (data: Buffer) => {
        received = Buffer.concat([received, data])
      })
      // A socket that is dropped before it has opened emits an error; `close` is enough here.
      socket.on('error', () => {})
      const closed = new Promise<number>((resolve) => socket.once('close', resolve))
      const status = await new Promise<number | undefined>((resolve) => {
        socket.once('open', () => resolve(undefined))
        socket.once('unexpected-response', (_, { statusCode }) => resolve(statusCode))
      })
      return {
        ...{ socket, status, closed },
        bytes: () => received,
        text: () => received.toString('latin1'),
        /** Resolves with `false` if the proxy ends the session first. */
        take: async (count: number) => {
          const enough = async () => {
            while (received.length < count) await said(socket)
          }
          if ((await Promise.race([enough(), closed])) !== undefined) return false
          received = received.subarray(count)
          return true
        },
        [Symbol.dispose]: () => socket.terminate(),
      }
    }

    /** Opens a console as its client does, until the guest has sent bytes or the proxy has ended the session. */
    async function opened(type: Type, token = tokens[type]): Promise<Outcome> {
      using console = await openSocket(type, token)
      if (console.status !== undefined) return { status: console.status, received: console.bytes() }
      if (type === 'novnc') await handshake(console)
      if (type === 'spice-html5') console.socket.send(SPICE_LINK)
      // A serial console sends nothing by itself: it counts as open if it has not ended after a while.
      const patience = new Promise<undefined>((resolve) =>
        setTimeout(() => resolve(undefined), type === 'serial' ? 1_000 : 20_000),
      )
      const code = await Promise.race([console.closed, said(console.socket).then(() => undefined), patience])
      return { ...(code === undefined ? {} : { code }), received: console.bytes() }
    }
  },
)

const said = (socket: WebSocket) => new Promise<void>((resolve) => socket.once('message', () => resolve()))

/** Performs the RFB handshake up to ClientInit, which is only between client and proxy. */
async function handshake({
  socket,
  take,
}: {
  socket: WebSocket
  take(count: number): Promise<boolean>
}): Promise<void> {
  await take(12)
  socket.send(Buffer.from('RFB 003.008\n'))
  await take(2)
  socket.send(Buffer.of(1))
  await take(4)
  socket.send(Buffer.of(1))
}

/** A SPICE link message for a main channel: magic, version 2.2, sizes, one word of capabilities. */
const SPICE_LINK = Buffer.concat([
  Buffer.from('REDQ'),
  Buffer.from([2, 0, 0, 0, 2, 0, 0, 0, 22, 0, 0, 0]),
  Buffer.from([0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0]),
  Buffer.from([0x0b, 0, 0, 0]),
])

function startGuest(guest: typeof A, ports?: Ports): Promise<QemuGuest> {
  return startQemu({
    ...guest,
    firmware: 'serial',
    vnc: ports ? { port: ports.novnc } : {},
    serial: ports ? { port: ports.serial } : true,
    spice: ports ? { port: ports['spice-html5'] } : {},
  })
}

/** Whether a client is connected to the guest's serial port. */
async function connectedSerial(guest: QemuGuest): Promise<boolean> {
  const devices = (await guest.qmp('query-chardev')) as { label: string; filename: string }[]
  return !devices.find(({ label }) => label === 'serial0')!.filename.startsWith('disconnected:')
}
