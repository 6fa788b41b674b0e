/** Serial consoles against a WebSocket server on loopback. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type Client, ConnectionError, SettingsError } from '@oriel/sdk'
import { REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { describe, expect, it } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { ConsoleClosed, ConsoleRefused, openSerial, type Serial } from '../../src/index.ts'

interface Port extends AsyncDisposable {
  readonly url: string
  /** The machine's side of the next connection. */
  readonly accepted: Promise<WebSocket>
}

async function listen(subprotocol = 'binary'): Promise<Port> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => subprotocol })
  await once(server, 'listening')
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/?token=secret`,
    accepted: once(server, 'connection').then(([socket]) => socket as WebSocket),
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

async function connect(port: Port): Promise<{ serial: Serial; machine: WebSocket }> {
  const [serial, machine] = await Promise.all([openSerial({ url: port.url }), port.accepted])
  return { serial, machine }
}

const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it must fail'),
    (error: unknown) => error,
  )

describe('openSerial', () => {
  it('signs a user in', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    machine.send(Buffer.from('\u001b[1mDebian\u001b[0m\r\nhost login: '))
    await serial.expect(/login: $/)
    await serial.sendLine('root')
    const [typed] = await once(machine, 'message')
    expect(String(typed)).toBe('root\r')
    await serial.close()
  })

  it('creates the console with a client', async () => {
    await using port = await listen()
    const calls: unknown[] = []
    const createConsole = async (...parameters: unknown[]) => {
      calls.push(parameters.slice(0, 2))
      return { url: port.url }
    }
    const serial = await openSerial({ createConsole } as unknown as Client, 'server-1')
    expect(calls).toEqual([['server-1', 'serial']])
    await serial.close()
  })

  it('passes bytes on in both directions', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    const writer = serial.writable.getWriter()
    await writer.write(bytes)
    const [typed] = await once(machine, 'message')
    machine.send(typed)
    machine.close(1000)
    expect(await buffer(serial.readable as never).catch((error: unknown) => error)).toBeInstanceOf(ConsoleClosed)
    expect(Buffer.from(typed as Buffer)).toEqual(Buffer.from(bytes))
  })

  it('ends the stream of bytes after close', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    machine.send(Buffer.from('last words'))
    await serial.expect('words')
    await serial.close()
    expect(String(await buffer(serial.readable as never))).toBe('last words')
    expect(await serial.ended).toBeUndefined()
    expect(await failure(serial.send('x'))).toEqual(new ConnectionError('network', 'The console is closed'))
  })

  it('cuts a reader off that falls too far behind, and goes on finding text', async () => {
    await using port = await listen()
    const [serial, machine] = await Promise.all([openSerial({ url: port.url, maxBufferedBytes: 8 }), port.accepted])
    const { readable } = serial
    machine.send(Buffer.from('12345678'))
    machine.send(Buffer.from('9'))
    await serial.expect('9')
    expect(String(await failure(buffer(readable as never)))).toContain('The reader of the output is too slow')
    machine.send(Buffer.from('login: '))
    expect((await serial.expect('login: ')).before).toBe('')
    await serial.close()
  })

  it('gives a late reader the output before it, of a closed console too', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    machine.send(Buffer.from('early '))
    await serial.expect('early')
    const { readable } = serial
    machine.send(Buffer.from('late'))
    await serial.expect('late')
    await serial.close()
    expect(serial.readable).toBe(readable)
    expect(String(await buffer(readable as never))).toBe('early late')
  })

  it('keeps the last 256 KiB at most for a reader who does not come', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    for (let piece = 0; piece < 3; piece++) machine.send(Buffer.alloc(100_000, piece))
    machine.send(Buffer.from('end'))
    await serial.expect('end')
    await serial.close()
    expect(await buffer(serial.readable as never)).toHaveLength(200_003)
  })

  it('tells why the console closed', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    const waiting = failure(serial.expect('never'))
    machine.close(4007, 'The permission to use this console was withdrawn.')
    expect(await waiting).toMatchObject({ name: 'ConsoleClosed', code: 4007, remedy: 'new-console' })
    expect(await serial.ended).toBe(await waiting)
  })

  it('tells why Oriel’s proxy refused', async () => {
    await using port = await listen(REFUSALS_SUBPROTOCOL)
    const refused = failure(openSerial({ url: port.url }))
    ;(await port.accepted).close(4403, 'token The token is not valid.')
    expect(await refused).toBeInstanceOf(ConsoleRefused)
  })

  it('fails for a proxy that cannot be reached, without the token', async () => {
    const port = await listen()
    await port[Symbol.asyncDispose]()
    const error = await failure(openSerial({ url: port.url }))
    expect(error).toBeInstanceOf(ConnectionError)
    expect(String(error)).not.toContain('secret')
  })

  it('fails at the deadline for a proxy that never answers', async () => {
    const { createServer } = await import('node:net')
    await using server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
    server.on('connection', (socket) =>
      socket
        .on('error', () => {})
        .on('end', () => socket.destroy())
        .resume(),
    )
    const error = await failure(openSerial({ url, openTimeoutMs: 20 }))
    expect(error).toMatchObject({ name: 'ConnectionError', reason: 'timeout' })
  })

  it('rejects with the reason of the signal', async () => {
    await using port = await listen()
    const stop = new AbortController()
    const opening = failure(openSerial({ url: port.url, signal: stop.signal }))
    stop.abort(new Error('enough'))
    expect(await opening).toEqual(new Error('enough'))
  })

  it('refuses a URL that is none of a console', async () => {
    expect(await failure(openSerial({ url: 'telnet://h/' }))).toBeInstanceOf(SettingsError)
  })
})
