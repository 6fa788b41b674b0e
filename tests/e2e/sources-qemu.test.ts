/** Checks that the API follows real QEMU guests that start, pause, hang, move and end. */
import { once } from 'node:events'
import { join } from 'node:path'
import { freePort, type QemuOptions, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { following, type SourcedApi, startSourcedApi } from './parts/real-source.ts'
import { asViewer } from './parts/rfb.ts'

const SOON = { interval: 50 }
const A = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const B = 'b2b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const { skip, reason } = requires('qemu')

describe.skipIf(skip)(`real QEMU guests as servers${reason}`, () => {
  /**
   * Creates a folder of sockets, an API that watches it, and a function that starts guests there. The default timeout
   * for a hung guest is so long that a busy machine does not exceed it.
   */
  async function bench({ answer_timeout_ms = 15_000, restart_seconds = 5 } = {}) {
    const folder = await temporaryFolder()
    const api = await startSourcedApi({
      kind: 'qemu',
      qmp: join(folder.path, '*.qmp'),
      ...{ answer_timeout_ms, restart_seconds },
    })
    const start = (options: QemuOptions) =>
      startQemu({
        ...options,
        args: ['-qmp', `unix:${join(folder.path, options.name)}.qmp,server=on,wait=off`, ...(options.args ?? [])],
      })
    return {
      api,
      start,
      async [Symbol.asyncDispose]() {
        await api[Symbol.asyncDispose]()
        await folder[Symbol.asyncDispose]()
      },
    }
  }

  it('are listed within two seconds when they start, pause, resume, leave and end', async () => {
    await using one = await bench()
    const list = following(one.api)
    expect(await one.api.statuses()).toEqual({})
    await using guest = await one.start({ name: 'web-1', uuid: A })
    await list.becomes({ 'web-1': 'ACTIVE' })
    await guest.qmp('stop')
    await list.becomes({ 'web-1': 'PAUSED' })
    await guest.qmp('cont')
    await list.becomes({ 'web-1': 'ACTIVE' })
    await using other = await one.start({ name: 'db-1', uuid: B, paused: true })
    await list.becomes({ 'web-1': 'ACTIVE', 'db-1': 'PAUSED' })
    await guest.qmp('migrate', { uri: 'exec:cat >/dev/null' })
    await expect.poll(one.api.statuses, SOON).toMatchObject({ 'web-1': 'SHUTOFF' })
    await other[Symbol.asyncDispose]()
    await list.becomes({ 'web-1': 'SHUTOFF' })
    expect(list.usualDelayMs()).toBeLessThan(2000)
  })

  it('have the addresses of VNC, SPICE and serial that QEMU reports, but not that of the monitor', async () => {
    await using one = await bench()
    const args = ['-monitor', `tcp:127.0.0.1:${await freePort()},server=on,wait=off`]
    await using guest = await one.start({ name: 'web-1', uuid: A, serial: true, spice: {}, args })
    await listed(one.api)
    const port = async (protocol: 'vnc' | 'spice' | 'serial') =>
      (await one.api.connectInfo(await one.api.mint(A, protocol)))?.port
    expect(await port('vnc')).toBe(guest.vncPort)
    expect(await port('spice')).toBe(guest.spicePort)
    expect(await port('serial')).toBe(guest.serialPort)

    await using mute = await one.start({
      name: 'db-1',
      uuid: B,
      vnc: false,
      args: ['-monitor', `tcp:127.0.0.1:${await freePort()},server=on,wait=off`],
    })
    await listed(one.api, 'db-1')
    for (const protocol of ['vnc', 'spice', 'serial'] as const) {
      await expect(one.api.mint(mute.uuid, protocol)).rejects.toMatchObject({ status: 400 })
    }
  })

  it.each(['pci-serial-2x', 'pci-serial-4x'])('have the serial port of a %s, also with -qmp-pretty', async (card) => {
    await using folder = await temporaryFolder()
    await using api = await startSourcedApi({
      kind: 'qemu',
      qmp: join(folder.path, '*.qmp'),
      answer_timeout_ms: 15_000,
    })
    const port = await freePort()
    const chardev = `socket,id=second,host=127.0.0.1,port=${port},server=on,wait=off`
    const args = ['-chardev', chardev, '-device', `${card},chardev2=second`]
    const monitor = ['-qmp-pretty', `unix:${join(folder.path, 'web-1.qmp')},server=on,wait=off`]
    await using _ = await startQemu({ name: 'web-1', uuid: A, args: [...args, ...monitor] })
    await listed(api)
    expect(await api.connectInfo(await api.mint(A, 'serial'))).toMatchObject({ host: '127.0.0.1', port })
  })

  it('are ignored if they have the UUID of an earlier guest, whose tokens stay valid', async () => {
    await using one = await bench()
    await using first = await one.start({ name: 'web-1', uuid: A })
    await listed(one.api)
    const token = await one.api.mint(A, 'vnc')
    await using twin = await one.start({ name: 'twin', uuid: A })
    await one.api.program.waitForLog(({ msg }) => String(msg).includes('claims this UUID'))
    for (const [command, state] of [
      ['stop', 'paused'],
      ['cont', 'running'],
      ['stop', 'paused'],
    ] as const) {
      const changes = () => one.api.program.records.filter((each) => each.server === 'twin' && each.state === state)
      const before = changes().length
      await twin.qmp(command)
      await expect.poll(() => changes().length, SOON).toBeGreaterThan(before)
    }
    expect(await one.api.statuses()).toEqual({ 'web-1': 'ACTIVE' })
    expect(await one.api.connectInfo(token)).toMatchObject({ port: first.vncPort })
    const logged = one.api.program.records.map(({ msg }) => String(msg))
    expect(logged.filter((msg) => msg.includes('claims this UUID'))).toHaveLength(1)
    expect(logged).not.toContain('console tokens revoked')
  })

  it('have no console at an address that the source does not allow', async () => {
    await using folder = await temporaryFolder()
    await using narrow = await startSourcedApi({
      kind: 'qemu',
      qmp: join(folder.path, '*.qmp'),
      console_ports: '5900-5901',
    })
    const port = await freePort()
    await using guest = await startQemu({
      name: 'db-1',
      uuid: B,
      vnc: false,
      args: ['-vnc', `127.0.0.1:${port - 5900}`, '-qmp', `unix:${join(folder.path, 'db-1.qmp')},server=on,wait=off`],
    })
    await listed(narrow, 'db-1')
    await expect(narrow.mint(guest.uuid, 'vnc')).rejects.toMatchObject({ status: 400 })
    await narrow.program.waitForLog(({ why }) => why === `port ${port} is not in console_ports (5900-5901)`)
  })

  it('CVE-2013-0335 port reuse: lose their tokens when they end, before another guest listens on the port', async () => {
    await using one = await bench()
    const vnc = ['-vnc', `127.0.0.1:${(await freePort()) - 5900}`]
    const guest = await one.start({ name: 'web-1', uuid: A, vnc: false, args: vnc })
    await listed(one.api)
    const token = await one.api.mint(A, 'vnc')
    expect(await one.api.connectInfo(token)).toMatchObject({ host: '127.0.0.1' })
    await guest[Symbol.asyncDispose]()
    await expect.poll(() => one.api.connectInfo(token), SOON).toBeUndefined()

    await using _ = await one.start({ name: 'db-1', uuid: B, vnc: false, args: vnc })
    await listed(one.api, 'db-1')
    expect(await one.api.connectInfo(token)).toBeUndefined()
    await expect(one.api.mint(A, 'vnc')).rejects.toMatchObject({ status: 404 })
    expect(await one.api.connectInfo(await one.api.mint(B, 'vnc'))).toMatchObject({ host: '127.0.0.1' })
  })

  it.each(['nova', 'oriel'])(
    'CVE-2013-0335 port reuse: with the authority %s, a token for A opens no console of B, which took A’s port at once',
    async (kind) => {
      await using one = await bench()
      await using proxy = await startProxy(one.api, kind)
      const vnc = ['-vnc', `127.0.0.1:${(await freePort()) - 5900}`]
      const guest = await one.start({ name: 'web-1', uuid: A, vnc: false, args: vnc })
      await listed(one.api)
      const token = await one.api.mint(A, 'vnc')
      const viewer = proxy.open(token)
      // With an open handshake, the proxy would notice the end of the guest only at the deadline of the handshake.
      await asViewer(viewer)
      process.kill(guest.pid, 'SIGKILL')
      await once(viewer, 'close')

      await using other = await one.start({ name: 'db-1', uuid: B, vnc: false, args: vnc })
      // 503 until the API has noticed that B has the port: A may be about to restart.
      expect([403, 503]).toContain(await refusalOf(proxy.open(token)))
      expect(await other.qmp('query-vnc')).toMatchObject({ clients: [] })
      expect(proxy.program.records.filter(({ msg }) => msg === 'session opened')).toHaveLength(1)
      await guest[Symbol.asyncDispose]()
    },
  )

  it.each(['nova', 'oriel'])(
    'CVE-2013-0335 port reuse: with the authority %s, a token for A opens no serial console of B with A’s name and VNC port',
    async (kind) => {
      await using one = await bench()
      await using proxy = await startProxy(one.api, kind)
      const guest = await one.start({ name: 'web-1', uuid: A })
      await listed(one.api)
      const token = await one.api.mint(A, 'vnc')
      const port = guest.vncPort
      process.kill(guest.pid, 'SIGKILL')
      await guest[Symbol.asyncDispose]()

      const chardev = `socket,id=taken,host=127.0.0.1,port=${port},server=on,wait=off`
      const args = ['-chardev', chardev, '-serial', 'chardev:taken']
      await using other = await one.start({ name: 'web-1', uuid: B, vnc: false, args })
      const ids = async () => (await one.api.client.at('2.1').listServers()).servers.map(({ id }) => id)
      await expect.poll(ids, SOON).toEqual([B])
      expect(await refusalOf(proxy.open(token))).toBe(403)
      const chardevs = (await other.qmp('query-chardev')) as { label: string; filename: string }[]
      expect(chardevs.find(({ label }) => label === 'taken')?.filename).toMatch(/^disconnected:/)
      expect(await one.api.connectInfo(await one.api.mint(B, 'serial'))).toMatchObject({ port })
    },
  )

  it('keep their tokens while they restart in place, which open nothing meanwhile', async () => {
    // So long that a busy machine restarts the guest within it.
    await using one = await bench({ restart_seconds: 60 })
    await using proxy = await startProxy(one.api, 'oriel')
    const vnc = ['-vnc', `127.0.0.1:${(await freePort()) - 5900}`]
    const guest = await one.start({ name: 'web-1', uuid: A, vnc: false, args: vnc })
    await listed(one.api)
    const token = await one.api.mint(A, 'vnc')
    const viewer = proxy.open(token)
    // With an open handshake, the proxy would notice the end of the guest only at the deadline of the handshake.
    await asViewer(viewer)
    process.kill(guest.pid, 'SIGKILL')
    await once(viewer, 'close')
    await guest[Symbol.asyncDispose]()
    expect(await refusalOf(proxy.open(token))).toBe(503)
    expect(await one.api.connectInfo(token)).toBeUndefined()

    await using _ = await one.start({ name: 'web-1', uuid: A, vnc: false, args: vnc })
    await listed(one.api)
    const again = proxy.open(token)
    await once(again, 'open')
    again.terminate()
    expect(one.api.program.records.map(({ msg }) => msg)).not.toContain('console tokens revoked')
  })

  it('get tokens for the new port after they have restarted on another one', async () => {
    await using one = await bench()
    const first = await one.start({ name: 'web-1', uuid: A })
    await listed(one.api)
    const token = await one.api.mint(A, 'vnc')
    const blocker = await one.start({ name: 'other', uuid: B })
    await first[Symbol.asyncDispose]()
    await expect.poll(() => one.api.connectInfo(token), SOON).toBeUndefined()
    await blocker[Symbol.asyncDispose]()
    await using second = await one.start({
      name: 'web-1',
      uuid: A,
      vnc: false,
      args: ['-vnc', `127.0.0.1:${(await freePort()) - 5900}`],
    })
    await listed(one.api)
    const { service } = (await second.qmp('query-vnc')) as { service: string }
    expect(Number(service)).not.toBe(first.vncPort)
    expect(await one.api.connectInfo(await one.api.mint(A, 'vnc'))).toMatchObject({ port: Number(service) })
  })

  it('lose their old tokens when a console moves while they run, and get tokens for the new port', async () => {
    await using one = await bench()
    await using guest = await one.start({ name: 'web-1', uuid: A })
    await listed(one.api)
    const token = await one.api.mint(A, 'vnc')
    const port = await freePort()
    const addresses = [{ type: 'inet', host: '127.0.0.1', port: String(port) }]
    await guest.qmp('display-update', { type: 'vnc', addresses })
    expect(await one.api.connectInfo(await one.api.mint(A, 'vnc'))).toMatchObject({ port })
    await expect.poll(() => one.api.connectInfo(token), SOON).toBeUndefined()
  })

  it('stay listed while they hang, fail alone and in time, and recover when they wake', async () => {
    await using one = await bench({ answer_timeout_ms: 5000 })
    await using guest = await one.start({ name: 'web-1', uuid: A })
    await using _ = await one.start({ name: 'db-1', uuid: B })
    await listed(one.api)
    await listed(one.api, 'db-1')
    process.kill(guest.pid, 'SIGSTOP')
    try {
      await one.api.program.waitForLog(({ msg }) => typeof msg === 'string' && msg.startsWith('guest does not answer'))
      expect(await one.api.statuses()).toEqual({ 'web-1': 'ACTIVE', 'db-1': 'ACTIVE' })
      await expect(one.api.mint(A, 'vnc')).rejects.toMatchObject({ status: 503 })
      await one.api.mint(B, 'vnc')
    } finally {
      process.kill(guest.pid, 'SIGCONT')
    }
    await one.api.program.waitForLog(({ msg }) => msg === 'guest answers again')
    await one.api.mint(A, 'vnc')
  })

  async function startProxy(api: SourcedApi, kind: string) {
    const { port } = new URL(api.endpoint)
    const config = merge(proxyConfig(Number(port), 0), { authority: { kind } })
    const program = await startApp('proxy', config)
    const { address } = await listening(program)
    return {
      program,
      open: (token: string) => new WebSocket(`ws://${address}/?token=${token}`, ['binary']).on('error', () => {}),
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    }
  }

  async function refusalOf(viewer: WebSocket): Promise<number> {
    const [, answer] = (await once(viewer, 'unexpected-response')) as [unknown, { statusCode: number }]
    return answer.statusCode
  }

  const listed = (api: SourcedApi, name = 'web-1') =>
    expect.poll(api.statuses, SOON).toMatchObject({ [name]: 'ACTIVE' })
})
