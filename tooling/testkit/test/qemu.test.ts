import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from 'vitest'
import {
  connectPeer,
  connectQmp,
  differingShare,
  type RgbPicture,
  requires,
  startQemu,
  temporaryPki,
} from '../src/index.ts'

const { skip, reason } = requires('qemu')
const uuid = '8f2f0d3c-7e4b-4f0e-9a39-3a4f3f0b7c11'

describe.skipIf(skip)(`a QEMU guest${reason}`, { timeout: 60_000 }, () => {
  test('reports its name and id, shows a screen, and reacts to keys', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid })
    expect(guest.uuid).toBe(uuid)
    expect(await guest.qmp('query-name')).toEqual({ name: 'web-1' })
    const firmware = await guest.untilPicture((picture) => litShare(picture) > 0.01)
    await guest.sendKey('esc')
    const menu = await guest.untilPicture((picture) => differs(picture, firmware))
    expect(menu.width).toBe(firmware.width)
  })

  test('serves VNC at the reported port, with its name as desktop name', async () => {
    await using guest = await startQemu({ name: 'web-1' })
    using peer = await connectPeer({ host: guest.host, port: guest.vncPort! })
    await peer.expect(Buffer.from('RFB 003.008\n'))
    await peer.send(Buffer.from('RFB 003.008\n'))
    await peer.expect('01 01')
    await peer.send('01')
    await peer.expect('00000000')
    await peer.send('01')
    const init = await peer.read(24)
    expect(String(await peer.read(init.readUInt32BE(20)))).toBe('QEMU (web-1)')
  })

  test('gets other ports than a second guest', async () => {
    await using first = await startQemu({ name: 'web-1' })
    await using second = await startQemu({ name: 'web-2' })
    expect(second.vncPort).not.toBe(first.vncPort)
  })

  test('sends output on its serial port', async () => {
    await using guest = await startQemu({ name: 'web-1', vnc: false, serial: true, firmware: 'serial', paused: true })
    expect(guest.vncPort).toBeUndefined()
    using peer = await connectPeer({ host: guest.host, port: guest.serialPort! })
    await guest.qmp('cont')
    let heard = ''
    while (!heard.includes('SeaBIOS')) heard += await peer.read(1, { timeoutMs: 30_000 })
    expect(heard).toContain('SeaBIOS')
  })

  test('serves SPICE', async () => {
    await using guest = await startQemu({ name: 'web-1', vnc: false, spice: { ticket: 'sesame' } })
    using peer = await connectPeer({ host: guest.host, port: guest.spicePort! })
    // SpiceLinkMess of the main channel: magic, major 2, minor 2, 18 bytes, no connection, type 1, id 0, no caps.
    await peer.send(Buffer.from('REDQ'))
    await peer.send('02000000 02000000 12000000 00000000 01 00 00000000 00000000 12000000')
    await peer.expect(Buffer.from('REDQ'))
  })

  test('offers TLS on VNC and SPICE with certificates of the test', async () => {
    await using pki = await temporaryPki()
    const tls = { folder: pki.path }
    await using guest = await startQemu({ name: 'web-1', vnc: { tls }, spice: { tls } })
    using vnc = await connectPeer({ host: guest.host, port: guest.vncPort! })
    await vnc.read(12)
    await vnc.send(Buffer.from('RFB 003.008\n'))
    // One security type: 19, VeNCrypt.
    await vnc.expect('01 13')
    using stack = new DisposableStack()
    const ca = await readFile(join(pki.path, 'ca-cert.pem'))
    const spice = connectTls({ host: guest.host, port: guest.spiceTlsPort!, ca })
    stack.adopt(spice, (open) => open.destroy())
    await once(spice, 'secureConnect', { signal: AbortSignal.timeout(10_000) })
    expect(spice.authorized).toBe(true)
  })

  test('has a second monitor for the program under test', async () => {
    await using guest = await startQemu({ name: 'web-1' })
    using stack = new DisposableStack()
    const socket = stack.adopt(connect(guest.qmpSocket), (open) => open.destroy())
    const client = await connectQmp(socket)
    expect(await client.qmp('query-name')).toEqual({ name: 'web-1' })
    await expect(client.qmp('no-such-command')).rejects.toMatchObject({ class: 'CommandNotFound' })
  })

  test('reports events and its end', async () => {
    await using guest = await startQemu({ name: 'web-1' })
    await guest.qmp('stop')
    await guest.qmp('quit')
    const events: string[] = []
    for await (const { event } of guest.events) events.push(event)
    expect(events).toEqual(['STOP', 'SHUTDOWN'])
    expect(await guest.exited).toEqual({ code: 0, signal: null })
    await expect(guest.qmp('query-name')).rejects.toThrow('QEMU closed its monitor')
  })

  test('fails with QEMU’s reason if it cannot start', async () => {
    await expect(startQemu({ name: 'web-1', args: ['-device', 'nonsense'] })).rejects.toThrow(
      /QEMU ended with 1.*nonsense/s,
    )
  })

  test('stops when it is disposed', async () => {
    const guest = await startQemu({ name: 'web-1' })
    await guest[Symbol.asyncDispose]()
    expect(() => process.kill(guest.pid, 0)).toThrow('ESRCH')
  })
})

function litShare({ data }: RgbPicture): number {
  return data.filter((level) => level > 64).length / data.length
}

function differs(a: RgbPicture, b: RgbPicture): boolean {
  return a.width === b.width && a.height === b.height && differingShare(a, b) > 0.002
}
