/** Unix sockets as consoles: only listed ones are dialled, whatever links lead to them. */
import { once } from 'node:events'
import { readdir, readlink, rename, symlink } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { admissionOf } from '../../src/authority/authority.ts'
import { dial, dialSocket } from '../../src/hypervisor/dial.ts'
import type { HypervisorAddress } from '../../src/hypervisor/leg.ts'
import { unixSockets } from '../../src/hypervisor/unix-socket.ts'
import { probe } from '../../src/spice/channel/hypervisor-leg.ts'

const never = new AbortController().signal

/** A server at a Unix socket, which greets each client with its own name. */
async function serverAt(path: string) {
  const sockets = new Set<Socket>()
  const greeted = { count: 0 }
  const server = createServer((socket) => {
    greeted.count += 1
    sockets.add(socket.on('error', () => {}))
    socket.write(path)
  }).listen(path)
  await once(server, 'listening')
  return {
    greeted,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A folder with the listed sockets `guests/*.sock`, and a folder with those of other services. */
async function bench() {
  await using scope = new AsyncDisposableStack()
  const guests = scope.use(await temporaryFolder())
  const others = scope.use(await temporaryFolder())
  const guest = join(guests.path, 'a.sock')
  const other = join(others.path, 'docker.sock')
  scope.use(await serverAt(guest))
  const { greeted } = scope.use(await serverAt(other))
  const rest = scope.move()
  return {
    ...{ guests: guests.path, others: others.path, guest, other, othersClients: greeted },
    addressOf: (path: string): HypervisorAddress => ({
      host: `unix:${path}`,
      port: 0,
      socket: unixSockets([join(guests.path, '*.sock')])(path),
    }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

const connect = async (address: HypervisorAddress) => {
  using leg = await dial(address, 60_000, never)
  const { promise, resolve } = Promise.withResolvers<string>()
  leg.take((bytes) => {
    resolve(bytes.toString())
    return false
  })
  return await promise
}

const refused = (detail: string) => expect.objectContaining({ refusal: 'console_unreachable', message: detail })

describe('a Unix socket', () => {
  it('is dialled if hypervisor.unix_sockets lists it, for both kinds of leg', async () => {
    await using one = await bench()
    expect(await connect(one.addressOf(one.guest))).toBe(one.guest)
    const socket = await dialSocket(one.addressOf(one.guest), undefined, 60_000, never)
    expect(String((await once(socket, 'data'))[0])).toBe(one.guest)
    socket.destroy()
  })

  it('of another service is refused before a connection', async () => {
    await using one = await bench()
    const detail = `the Unix socket ${one.other} is not listed in hypervisor.unix_sockets`
    await expect(connect(one.addressOf(one.other))).rejects.toEqual(refused(detail))
    expect(one.othersClients.count).toBe(0)
  })

  it('with a listed name that is a link to another service is refused before a connection', async () => {
    await using one = await bench()
    const link = join(one.guests, 'b.sock')
    await symlink(one.other, link)
    const socket = `${link}, which leads to ${one.other},`
    const detail = `the Unix socket ${socket} is not listed in hypervisor.unix_sockets`
    await expect(connect(one.addressOf(link))).rejects.toEqual(refused(detail))
    await expect(dialSocket(one.addressOf(link), undefined, 60_000, never)).rejects.toEqual(refused(detail))
    expect(one.othersClients.count).toBe(0)
  })

  it('below a link to another folder is refused before a connection', async () => {
    await using one = await bench()
    await symlink(one.others, join(one.guests, 'x.sock'))
    await expect(connect(one.addressOf(join(one.guests, 'x.sock', 'docker.sock')))).rejects.toThrow('not listed')
    expect(one.othersClients.count).toBe(0)
  })

  it('is dialled through a link from anywhere', async () => {
    await using one = await bench()
    const link = join(one.others, 'a.sock')
    await symlink(one.guest, link)
    expect(await connect(one.addressOf(link))).toBe(one.guest)
  })

  it('that is replaced by a link after the check is dialled as it was checked', async () => {
    await using one = await bench()
    await using found = await one.addressOf(one.guest).socket!.find()
    await rename(one.guest, `${one.guest}.old`)
    await symlink(one.other, one.guest)
    const swapped = { find: async () => found }
    expect(await connect({ host: `unix:${one.guest}`, port: 0, socket: swapped })).toBe(one.guest)
    expect(one.othersClients.count).toBe(0)
  })

  it('that does not exist is unreachable', async () => {
    await using one = await bench()
    const detail = 'no connection: ENOENT: there is no such Unix socket on this host'
    await expect(connect(one.addressOf(join(one.guests, 'gone.sock')))).rejects.toEqual(refused(detail))
    const plain = dialSocket(one.addressOf(join(one.guests, 'gone.sock')), undefined, 60_000, never)
    await expect(plain).rejects.toEqual(refused(detail))
  })

  it('leaves no file open, whether it is dialled or refused', async () => {
    await using one = await bench()
    await connect(one.addressOf(one.guest))
    await connect(one.addressOf(one.other)).catch(() => {})
    const handles = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
    const files = await Promise.all(handles)
    expect(files.filter((file) => file === one.guest || file === one.other)).toEqual([])
  })

  it('is released if it is found after the deadline', async () => {
    const finding = Promise.withResolvers<{ path: string } & AsyncDisposable>()
    const released = Promise.withResolvers<void>()
    const socket = { find: () => finding.promise }
    const dialling = dial({ host: 'unix:/slow', port: 0, socket }, 1, never)
    await expect(dialling).rejects.toMatchObject({ refusal: 'console_timeout' })
    finding.resolve({ path: '/slow', [Symbol.asyncDispose]: async () => released.resolve() })
    await released.promise
  })
})

it('is never dialled for Nova, whose address with a path is unusable', () => {
  const console = { instance_uuid: 'a', port: 5900, internal_access_path: null }
  for (const host of ['unix:/run/docker.sock', '/run/docker.sock', 'unix:docker.sock']) {
    const problem = `the host is ${JSON.stringify(host)}`
    expect(() => admissionOf({ ...console, host })).toThrow(problem)
    expect(() => admissionOf({ ...console, host, tls_port: 5901 })).toThrow(problem)
  }
})

describe('a SPICE server at a Unix socket', () => {
  it('is refused if allow_plaintext is false, because it has no TLS', async () => {
    await using one = await bench()
    const { host, socket } = one.addressOf(one.guest)
    const limits = { dialTimeoutMs: 60_000, timeoutMs: 60_000, signal: never }
    await expect(probe({ host, socket: socket! }, { hosts: {}, allowPlaintext: false }, limits)).rejects.toThrow(
      'hypervisor.spice.allow_plaintext forbids plaintext',
    )
    // Dialled: the played server does not speak SPICE.
    await expect(probe({ host, socket: socket! }, { hosts: {} }, limits)).rejects.toThrow(
      `unix:${one.guest}: the server does not speak SPICE`,
    )
  })
})
