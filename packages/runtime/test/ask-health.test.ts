import { createServer, type RequestListener } from 'node:http'
import { expect, test } from 'vitest'
import { askHealth } from '../src/ask-health.ts'
import { createAdminListener, listenOn, silentLogger } from '../src/index.ts'

const path = 'admin.listen'

async function answering(listener: RequestListener, host = '127.0.0.1') {
  const server = createServer(listener)
  const address = await listenOn(server, { host, port: 0 })
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { address, port: address.split(':').at(-1)!, [Symbol.dispose]: close }
}

const ok: RequestListener = (_, response) => response.end('{"status":"ok"}')

test('asks the admin listener and returns its address', async () => {
  const check = { name: 'authority', check: () => Promise.reject(new Error('Nova is away')) }
  await using admin = await createAdminListener({ listen: '127.0.0.1:0', checks: [check], log: silentLogger() })
  expect(await askHealth({ path, address: admin.address })).toBe(admin.address)
})

test.each([
  ['0.0.0.0', '127.0.0.1'],
  ['[::]', '[::1]'],
])('asks a listener on %s at %s', async (all, loopback) => {
  using server = await answering(ok, loopback.replace(/[[\]]/g, ''))
  expect(await askHealth({ path, address: `${all}:${server.port}` })).toBe(`${loopback}:${server.port}`)
})

test('rejects an absent listener and port 0 with the key and a remedy', async () => {
  await expect(askHealth({ path, address: undefined })).rejects.toThrow(
    'admin.listen: missing: --health asks this listener, so configure it',
  )
  await expect(askHealth({ path, address: '127.0.0.1:0' })).rejects.toThrow(
    'admin.listen: port 0 is a different port at each start: give a fixed port, so that --health can ask it',
  )
})

test('rejects when nothing listens', async () => {
  const { address } = await answering(ok).then((server) => {
    server[Symbol.dispose]()
    return server
  })
  await expect(askHealth({ path, address })).rejects.toThrow(
    `admin.listen: nothing listens on ${address}: the program is stopped, starting or stopping`,
  )
})

test.each<[string, RequestListener]>([
  ['404', (_, response) => response.writeHead(404).end('{"status":"ok"}')],
  ['200', (_, response) => response.end('<h1>It works!</h1>')],
  ['200', (_, response) => response.end('null')],
  ['200', (_, response) => response.end(`{"status":"ok"${' '.repeat(100_000)}}`)],
])('rejects the answer %s of another program', async (status, listener) => {
  using server = await answering(listener)
  await expect(askHealth({ path, address: server.address })).rejects.toThrow(
    `${server.address} answers GET /healthz with ${status} and without Oriel's text: another program uses this port`,
  )
})

test('rejects when the listener is silent, and when it stops in the middle of its answer', async () => {
  using silent = await answering(() => {})
  using stuck = await answering((_, response) => response.write('{"status"'))
  for (const { address } of [silent, stuck]) {
    await expect(askHealth({ path, address }, 50)).rejects.toThrow(
      `admin.listen: ${address} has not answered within 50 ms`,
    )
  }
})

test('rejects when the listener closes the connection', async () => {
  using server = await answering((request) => request.socket.destroy())
  await expect(askHealth({ path, address: server.address })).rejects.toThrow(/does not answer: socket hang up/)
})
