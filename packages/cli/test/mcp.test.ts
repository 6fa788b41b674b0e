/** The parts of `oriel mcp`: its connections, what it reads of a serial console, and its results. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ExpectTimeout } from '@oriel/console'
import { refusalClose } from '@oriel/contract'
import { NotFound } from '@oriel/sdk'
import { REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { endOf } from '../src/mcp/answer.ts'
import { Consoles } from '../src/mcp/consoles.ts'
import { Pool } from '../src/mcp/pool.ts'
import { SerialReader } from '../src/mcp/serial-reader.ts'

class Connection {
  readonly #end = Promise.withResolvers<void>()
  readonly ended = this.#end.promise
  isClosed = false

  async close(): Promise<void> {
    this.isClosed = true
    this.#end.resolve()
  }
}

describe('Pool', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const opened: Connection[] = []
  beforeEach(() => void opened.splice(0))
  const open = async () => {
    const connection = new Connection()
    opened.push(connection)
    return connection
  }
  const same = async (connection: Connection) => connection

  it('uses one connection for a key, also for calls at the same time', async () => {
    const pool = new Pool<Connection>()
    const [a, b] = await Promise.all([pool.use('a', open, same), pool.use('a', open, same)])
    expect(a).toBe(b)
    expect(await pool.use('a', open, same)).toBe(a)
    expect(await pool.use('b', open, same)).not.toBe(a)
  })

  it('closes a connection after its idle time, which each call starts again', async () => {
    const pool = new Pool<Connection>({ idleMs: 1000 })
    const connection = await pool.use('a', open, same)
    await vi.advanceTimersByTimeAsync(900)
    await pool.use('a', open, same)
    await vi.advanceTimersByTimeAsync(900)
    expect(connection.isClosed).toBe(false)
    await vi.advanceTimersByTimeAsync(100)
    expect(connection.isClosed).toBe(true)
    expect(await pool.use('a', open, same)).not.toBe(connection)
  })

  it('keeps a connection that is in use for longer than the idle time', async () => {
    const pool = new Pool<Connection>({ idleMs: 1000 })
    const work = Promise.withResolvers<void>()
    const use = pool.use('a', open, () => work.promise)
    await pool.use('a', open, same)
    await vi.advanceTimersByTimeAsync(5000)
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([false])
    work.resolve()
    await use
    await vi.advanceTimersByTimeAsync(1000)
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true])
  })

  it('opens a connection again that has ended, or could not be opened', async () => {
    const pool = new Pool<Connection>()
    const failing = () => Promise.reject(new Error('refused'))
    await expect(pool.use('a', failing, same)).rejects.toThrow('refused')
    const lost = await pool.use('a', open, same)
    await lost.close()
    await vi.advanceTimersByTimeAsync(0)
    expect(await pool.use('a', open, same)).not.toBe(lost)
  })

  it('closes the connection that has been idle for longest to make room', async () => {
    const pool = new Pool<Connection>({ max: 2 })
    const [a, b] = [await pool.use('a', open, same), await pool.use('b', open, same)]
    await pool.use('a', open, same)
    await pool.use('c', open, same)
    expect([a.isClosed, b.isClosed]).toEqual([false, true])
  })

  it('refuses a connection while all that it may have are in use', async () => {
    const pool = new Pool<Connection>({ max: 1 })
    const work = Promise.withResolvers<void>()
    const use = pool.use('a', open, () => work.promise)
    await expect(pool.use('b', open, same)).rejects.toThrow('1 consoles are in use. Wait until')
    work.resolve()
    await use
    await pool.use('b', open, same)
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, false])
  })

  it('closes all connections at its end, and aborts one that is being opened', async () => {
    const pool = new Pool<Connection>()
    const connection = await pool.use('a', open, same)
    const opening = pool.use(
      'b',
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      same,
    )
    const refused = expect(opening).rejects.toThrow('oriel mcp has ended')
    await pool.close()
    await refused
    expect(connection.isClosed).toBe(true)
    await expect(pool.use('a', open, same)).rejects.toThrow('oriel mcp has ended')
  })
})

describe('Consoles with the role watch', () => {
  const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

  /** Starts a proxy that refuses the token `watch`, as one does that follows Nova's API. */
  async function startProxy() {
    const server = createServer()
    const isRefused = ({ url }: IncomingMessage) => url!.includes('watch')
    const handleProtocols = (_: Set<string>, request: IncomingMessage) =>
      isRefused(request) ? REFUSALS_SUBPROTOCOL : 'binary'
    const { code, reason } = refusalClose('unknown_token')
    new WebSocketServer({ server, handleProtocols }).on('connection', (socket, request) => {
      if (isRefused(request)) socket.close(code, reason)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/?token=`
    return { url, [Symbol.dispose]: () => server.close() }
  }

  const missing = new NotFound('There is no such route.', {
    ...{ status: 404, operation: 'createConsole', requestId: undefined, key: undefined, retryAfterSeconds: undefined },
  })

  it.each([
    ['the proxy', (url: string) => Promise.resolve({ console: { url: `${url}watch` } })],
    ['the API', () => Promise.reject(missing)],
  ])('opens a usual console if %s has none whose input is dropped, and says so', async (part, create) => {
    using proxy = await startProxy()
    const says = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const created: string[] = []
    const client = {
      negotiate: async () => ({ showServer: async () => ({ server: { id, name: 'web-1', status: 'ACTIVE' } }) }),
      oriel: { createConsole: () => create(proxy.url) },
      async createConsole(_: string, type: string) {
        created.push(type)
        return { url: `${proxy.url}control` }
      },
    }
    await using consoles = new Consoles({ client, timeoutMs: 5000 } as never, 'watch')
    expect(await consoles.onSerial(id, async (_, { name }) => name)).toBe('web-1')
    expect(created).toEqual(['serial'])
    expect(says.mock.calls.flat().join('')).toMatch(
      new RegExp(`^oriel: ${part} has no consoles whose input (it drops|is dropped); that of web-1 is a usual one\n$`),
    )
    says.mockRestore()
  })
})

describe('SerialReader', () => {
  const printing = (before: string, text: string) => ({ expect: async () => ({ before, text, groups: [] }) })
  const silent = (output: string) => ({
    expect: (pattern: RegExp | string) => Promise.reject(new ExpectTimeout(pattern, 2000, output)),
  })
  const options = { maxChars: 10, timeoutMs: 2000 }

  it('says with the first output of a console that it has no beginning', async () => {
    const [reader, serial] = [new SerialReader(), printing('a', 'b')]
    expect(await reader.read(serial, options)).toMatch(/^\(The console was opened with this call\..*\)\nab$/)
    expect(await reader.read(serial, options)).toBe('ab')
    expect(await reader.read(printing('a', 'b'), options)).toMatch(/^\(The console was opened/)
  })

  it('returns the end of a long output, and how much is missing', async () => {
    const [reader, serial] = [new SerialReader(), printing('0123456789', 'abc')]
    await reader.read(serial, options)
    expect(await reader.read(serial, options)).toBe('(3 earlier characters are left out.)\n3456789abc')
  })

  it('says that no output came', async () => {
    expect(await new SerialReader().read(silent(''), options)).toBe('(No output came within 2 seconds.)')
  })

  it('fails with the end of the output if the text does not come', async () => {
    const read = new SerialReader().read(silent('guest login: '), { ...options, until: /#/m })
    await expect(read).rejects.toMatchObject({
      exit: 'timeout',
      message:
        'The serial console did not print /#/m within 2 seconds. The output is:\n' +
        '(3 earlier characters are left out.)\nst login: ',
    })
  })
})

it('leaves a text of the greatest length as it is', () => {
  expect(endOf('abc', 3)).toBe('abc')
})
