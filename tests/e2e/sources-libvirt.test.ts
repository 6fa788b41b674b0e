/** Checks that the API follows the domains of a real libvirt daemon (qemu:///session, emulated guests). */
import { join } from 'node:path'
import { freePort, requires } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { domain, type Libvirt, startLibvirt } from './parts/libvirt.ts'
import { following, type SourcedApi, startSourcedApi } from './parts/real-source.ts'

const SOON = { interval: 50 }
const A = '6695eb01-f6a4-8304-79aa-97f2502e193a'
const B = '6695eb01-f6a4-8304-79aa-97f2502e193b'
const LOOPBACK = "<listen type='address' address='127.0.0.1'/>"
const VNC = `<graphics type='vnc' autoport='yes'>${LOOPBACK}</graphics>`
const { skip, reason } = requires('libvirt', 'qemu')

describe.skipIf(skip)(`real libvirt domains as servers${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let libvirt: Libvirt
  let api: SourcedApi

  beforeAll(async () => {
    libvirt = parts.use(await startLibvirt())
    // Polls rarely, so that the API learns of changes only through events.
    api = parts.use(await startSourcedApi({ kind: 'libvirt', uri: libvirt.uri, poll_seconds: 60 }))
    await untilItListens()
  })
  afterAll(() => parts.disposeAsync())

  /** Resolves after the first event: virsh does not report when it has begun to listen for events. */
  async function untilItListens() {
    const isListed = async () => 'heard' in (await api.statuses())
    while (!(await isListed())) await libvirt.define(domain({ uuid: A, name: 'heard', devices: '' }))
    await libvirt.virsh('undefine', 'heard')
    while (await isListed()) await new Promise((resolve) => setTimeout(resolve, 50))
  }

  const port = async (id: string, protocol: 'vnc' | 'spice' | 'serial') =>
    (await api.connectInfo(await api.mint(id, protocol)))?.port
  const fromXml = async (name: string, pattern: RegExp) =>
    Number(pattern.exec(await libvirt.virsh('dumpxml', name))?.[1])

  it('are listed within two seconds when defined, started, paused, resumed, stopped and undefined', async () => {
    const list = following(api)
    await libvirt.define(domain({ uuid: A, name: 'web-1', devices: VNC }))
    await list.becomes({ 'web-1': 'SHUTOFF' })
    await expect(api.mint(A, 'vnc')).rejects.toMatchObject({ status: 400 })
    await libvirt.virsh('start', 'web-1')
    await list.becomes({ 'web-1': 'ACTIVE' })
    await libvirt.virsh('suspend', 'web-1')
    await list.becomes({ 'web-1': 'PAUSED' })
    await libvirt.virsh('resume', 'web-1')
    await list.becomes({ 'web-1': 'ACTIVE' })
    await libvirt.virsh('managedsave', 'web-1')
    await list.becomes({ 'web-1': 'SUSPENDED' })
    await libvirt.virsh('managedsave-remove', 'web-1')
    await libvirt.virsh('undefine', 'web-1')
    await list.becomes({})
    expect(list.usualDelayMs()).toBeLessThan(2000)
  })

  it('have consoles even if the name begins with a space and the metadata contains a document type', async () => {
    const metadata =
      '<metadata><note xmlns="http://example.org/note"><![CDATA[<!DOCTYPE x [<!ENTITY y "z">]>]]></note></metadata>'
    const xml = domain({ uuid: A, name: ' odd', devices: VNC }).replace('<devices>', `${metadata}<devices>`)
    await libvirt.create(xml)
    try {
      expect(await libvirt.virsh('dumpxml', A)).toContain('<![CDATA[<!DOCTYPE')
      await expect.poll(api.statuses, SOON).toMatchObject({ ' odd': 'ACTIVE' })
      const real = Number(/port='(\d+)' autoport/.exec(await libvirt.virsh('dumpxml', A))?.[1])
      expect(await port(A, 'vnc')).toBe(real)
    } finally {
      await libvirt.virsh('destroy', A)
    }
    await expect.poll(api.statuses, SOON).toEqual({})
  })

  it('have the addresses of VNC, SPICE and serial, also with several graphics devices', async () => {
    const socket = "<graphics type='vnc'><listen type='socket'/></graphics>"
    const spice = "<graphics type='spice' autoport='yes'><listen type='address' address='0.0.0.0'/></graphics>"
    const serial =
      "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='18555'/><protocol type='raw'/></serial>"
    await libvirt.create(domain({ uuid: A, name: 'web-1', devices: VNC + spice + serial }))
    await libvirt.create(domain({ uuid: B, name: 'db-1', devices: socket }))
    await expect.poll(api.statuses, SOON).toEqual({ 'web-1': 'ACTIVE', 'db-1': 'ACTIVE' })
    expect(await port(A, 'vnc')).toBe(await fromXml('web-1', /type='vnc' port='(\d+)'/))
    expect(await port(A, 'spice')).toBe(await fromXml('web-1', /type='spice' port='(\d+)'/))
    expect(await port(A, 'serial')).toBe(18555)
    for (const protocol of ['vnc', 'spice', 'serial'] as const) {
      await expect(api.mint(B, protocol)).rejects.toMatchObject({ status: 400 })
    }
    const unlisted = /^the Unix socket \/.*\/vnc\.sock is not in console_sockets$/
    await api.program.waitForLog(({ serverId, why }) => serverId === B && unlisted.test(String(why)))
    await libvirt.virsh('destroy', 'web-1')
    await libvirt.virsh('destroy', 'db-1')
    await expect.poll(api.statuses, SOON).toEqual({})
  })

  it('have the Unix sockets of VNC, SPICE and serial, if console_sockets lists them', async () => {
    const found = async (pattern: RegExp) => pattern.exec(await libvirt.virsh('dumpxml', 'web-1'))?.[1]
    const socket = (type: string) => `<graphics type='${type}'><listen type='socket'/></graphics>`
    const serialPath = join(libvirt.folder, 'serial.sock')
    const serial = `<serial type='unix'><source mode='bind' path='${serialPath}'/></serial>`
    await libvirt.create(domain({ uuid: A, name: 'web-1', devices: socket('vnc') + socket('spice') + serial }))
    const vncPath = await found(/<listen type='socket' socket='([^']*vnc\.sock)'/)
    const spicePath = await found(/<listen type='socket' socket='([^']*spice\.sock)'/)
    // The folder's name contains the id of this run of the domain.
    const console_sockets = [
      serialPath,
      ...[vncPath, spicePath].map((path) => path!.replace(/domain-[^/]*/, 'domain-*')),
    ]
    await using reaching = await startSourcedApi({ kind: 'libvirt', uri: libvirt.uri, console_sockets })
    const address = async (protocol: 'vnc' | 'spice' | 'serial') =>
      await reaching.connectInfo(await reaching.mint(A, protocol))
    expect(await address('vnc')).toMatchObject({ host: `unix:${vncPath}`, port: null })
    expect(await address('spice')).toMatchObject({ host: `unix:${spicePath}`, port: null, tls_port: null })
    expect(await address('serial')).toMatchObject({ host: `unix:${serialPath}`, port: null })
    await libvirt.virsh('destroy', 'web-1')
    await expect.poll(api.statuses, SOON).toEqual({})
  })

  it('CVE-2013-0335 port reuse: lose their tokens when they stop, before another domain listens on the port', async () => {
    // A fixed port: libvirt itself chooses the lowest free one, and another process may free a lower one meanwhile.
    const freed = await freePort()
    const devices = `<graphics type='vnc' port='${freed}' autoport='no'>${LOOPBACK}</graphics>`
    await libvirt.create(domain({ uuid: A, name: 'web-1', devices }))
    await expect.poll(api.statuses, SOON).toEqual({ 'web-1': 'ACTIVE' })
    const token = await api.mint(A, 'vnc')
    expect(await api.connectInfo(token)).toMatchObject({ host: '127.0.0.1', port: freed })
    await libvirt.virsh('destroy', 'web-1')
    await expect.poll(() => api.connectInfo(token), SOON).toBeUndefined()
    await libvirt.create(domain({ uuid: B, name: 'db-1', devices }))
    await expect.poll(api.statuses, SOON).toEqual({ 'db-1': 'ACTIVE' })
    expect(await port(B, 'vnc')).toBe(freed)
    expect(await api.connectInfo(token)).toBeUndefined()
    await libvirt.virsh('destroy', 'db-1')
    await expect.poll(api.statuses, SOON).toEqual({})
  })

  it('stay listed and keep their tokens while the daemon is down', async () => {
    await using impatient = await startSourcedApi({ kind: 'libvirt', uri: libvirt.uri, poll_seconds: 0.2 })
    await libvirt.create(domain({ uuid: A, name: 'web-1', devices: VNC }))
    await expect.poll(impatient.statuses, SOON).toEqual({ 'web-1': 'ACTIVE' })
    const token = await impatient.mint(A, 'vnc')
    await libvirt.stopDaemon()
    await impatient.program.waitForLog(
      ({ msg }) => typeof msg === 'string' && msg.startsWith('libvirt does not answer'),
    )
    expect(await impatient.statuses()).toEqual({ 'web-1': 'ACTIVE' })
    await expect(impatient.mint(A, 'vnc')).rejects.toMatchObject({ status: 503 })
    expect(await impatient.connectInfo(token)).toBeDefined()
    await libvirt.startDaemon()
    await impatient.program.waitForLog(({ msg }) => msg === 'libvirt answers again')
    await libvirt.virsh('destroy', 'web-1')
    await expect.poll(() => impatient.connectInfo(token), SOON).toBeUndefined()
  })
})
