/** Opens consoles of real QEMU guests that listen on Unix sockets, through the whole of Oriel on the same host. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  freePort,
  type QemuGuest,
  requires,
  startQemu,
  type TemporaryFolder,
  temporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dial, GUEST_ID, GUEST_NAME, startOneGuest, staticSource, WEB_TYPES, webSocketUrl } from './parts/one-guest.ts'
import { PROJECT, startPair } from './parts/oriel.ts'
import { asViewer } from './parts/rfb.ts'
import { openLink } from './parts/spice-link.ts'

const { skip, reason } = requires('qemu')

describe.skipIf(skip)(`consoles of a real QEMU guest at Unix sockets${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let pki: TemporaryFolder
  let folder: string
  let guest: QemuGuest

  beforeAll(async () => {
    pki = parts.use(await temporaryPki())
    folder = parts.use(await temporaryFolder()).path
    guest = parts.use(await startGuest(folder))
  })
  afterAll(() => parts.disposeAsync())

  const host = (protocol: string) => `unix:${join(folder, protocol)}.sock`
  const sources = {
    qemu: () => ({ kind: 'qemu', qmp: guest.qmpSocket, console_sockets: [join(folder, '*.sock')], ...OWNER }),
    static: () =>
      staticSource({ vnc: { host: host('vnc') }, serial: { host: host('serial') }, spice: { host: host('spice') } }),
  }
  const start = (source: object, hypervisor: object = { unix_sockets: [join(folder, '*.sock')] }) =>
    startOneGuest({ source, hypervisor: { identity: 'enforce', ...hypervisor }, spice: { folder: pki.path } })

  it.each(['qemu', 'static'] as const)('open with the source %s, and their guest is identified', async (kind) => {
    await using oriel = await start(sources[kind]())
    using vnc = await oriel.dial('novnc')
    expect(await (await asViewer(vnc.socket)).desktopName()).toBe(`QEMU (${GUEST_NAME})`)

    using serial = await oriel.dial('serial')
    await once(serial.socket, 'open')
    await guest.qmp('system_reset')
    await expect.poll(serial.text).toContain('SeaBIOS')
    serial.socket.terminate()
    await serial.closed

    using spice = await oriel.dial('spice-html5')
    await once(spice.socket, 'open')
    spice.socket.send(linkOfMain())
    await expect.poll(spice.text).toContain('REDQ')
    spice.socket.terminate()
    await spice.closed

    const file = await oriel.consoleFile()
    using link = await openLink({ ...file, ca: readFileSync(join(pki.path, 'ca-cert.pem'), 'utf8') })
    expect(link.result).toBe(0)
  })

  it('show their paths in no metric and in no list of sessions', async () => {
    await using oriel = await start(sources.static())
    using vnc = await oriel.dial('novnc')
    await (await asViewer(vnc.socket)).desktopName()
    const [metrics, sessions] = await Promise.all(['metrics', 'sessions'].map((path) => oriel.admin(path)))
    expect(metrics).toContain('"novnc"')
    expect(sessions).toContain(GUEST_ID)
    for (const text of [metrics, sessions]) expect(text).not.toContain(folder)
  })

  it('do not open unless the proxy’s operator lists their sockets', async () => {
    for (const unix_sockets of [[], [join(folder, 'db-*.sock')]]) {
      await using oriel = await start(sources.qemu(), { unix_sockets })
      for (const type of WEB_TYPES) {
        using refused = await oriel.dial(type)
        expect(await refused.status()).toBe(502)
      }
      await expect(oriel.consoleFile()).rejects.toThrow('502')
      const details = oriel.records.filter(({ msg }) => msg === 'refused').map(({ detail }) => String(detail))
      expect(details).toHaveLength(WEB_TYPES.length + 1)
      for (const detail of details) expect(detail).toContain('.sock is not listed in hypervisor.unix_sockets')
    }
  })

  it('do not open at the authority nova, which may name no path of this host', async () => {
    const port = await freePort()
    const servers = [{ id: GUEST_ID, name: GUEST_NAME, consoles: { vnc: { host: host('vnc') } } }]
    await using pair = await startPair({
      servers,
      api: { consoles: { novnc: { base_url: `http://127.0.0.1:${port}/vnc_lite.html` } } },
      proxy: { listen: [{ address: `127.0.0.1:${port}`, consoles: ['novnc'] }] },
    })
    const { url } = await pair.client.createConsole(GUEST_ID, 'novnc')
    using refused = dial(webSocketUrl(url))
    expect(await refused.status()).toBe(502)
    const { detail } = await pair.proxy.waitForLog(({ msg }) => msg === 'refused')
    expect(detail).toContain(`the host is ${JSON.stringify(host('vnc'))}`)
  })

  it('use VeNCrypt only with a host name for the certificate', async () => {
    await using sockets = await temporaryFolder()
    const credentials = `tls-creds-x509,id=vnctls,dir=${pki.path},endpoint=server,verify-peer=off`
    const path = join(sockets.path, 'vnc.sock')
    await using _ = await startQemu({
      ...{ name: GUEST_NAME, uuid: GUEST_ID, vnc: false },
      args: ['-object', credentials, '-vnc', `unix:${path},tls-creds=vnctls`],
    })
    const source = staticSource({ vnc: { host: `unix:${path}` } })
    const hypervisor = {
      unix_sockets: [path],
      vnc: { auth_schemes: ['vencrypt'], ca_file: join(pki.path, 'ca-cert.pem') },
    }
    {
      await using oriel = await start(source, hypervisor)
      using refused = await oriel.dial('novnc')
      expect(await refused.status()).toBe(502)
      const { detail } = await oriel.waitForLog(({ refusal }) => refusal === 'security_failed')
      expect(detail).toContain(`set hypervisor.hosts."unix:${path}".name`)
    }
    {
      await using oriel = await start(source, {
        ...hypervisor,
        hosts: { [`unix:${path}`]: { name: 'compute-9.example' } },
      })
      using refused = await oriel.dial('novnc')
      expect(await refused.status()).toBe(502)
      const { detail } = await oriel.waitForLog(({ refusal }) => refusal === 'security_failed')
      expect(detail).toContain('compute-9.example')
    }
    await using oriel = await start(source, { ...hypervisor, hosts: { [`unix:${path}`]: { name: 'localhost' } } })
    using vnc = await oriel.dial('novnc')
    expect(await (await asViewer(vnc.socket)).desktopName()).toBe(`QEMU (${GUEST_NAME})`)
  })
})

const OWNER = { host: '127.0.0.1', project_id: PROJECT }

/** Starts a guest with VNC, SPICE and a serial port at Unix sockets in `folder`. */
const startGuest = (folder: string) =>
  startQemu({
    ...{ name: GUEST_NAME, uuid: GUEST_ID, vnc: false, firmware: 'serial' },
    args: [
      ...['-vnc', `unix:${join(folder, 'vnc.sock')}`],
      ...['-spice', `unix=on,addr=${join(folder, 'spice.sock')},disable-ticketing=on`],
      ...['-serial', `unix:${join(folder, 'serial.sock')},server=on,wait=off`],
    ],
  })

/** A link message for a main channel without capabilities. */
function linkOfMain(): Buffer {
  const header = Buffer.from('REDQ'.padEnd(16, '\0'))
  header.writeUInt32LE(2, 4)
  header.writeUInt32LE(2, 8)
  header.writeUInt32LE(18, 12)
  const body = Buffer.alloc(18)
  body.writeUInt8(1, 4)
  body.writeUInt32LE(18, 14)
  return Buffer.concat([header, body])
}
