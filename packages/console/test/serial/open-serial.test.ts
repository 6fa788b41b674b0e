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
  /** As `accepted`, of the next connection after the call. */
  next(): Promise<WebSocket>
}

async function listen(subprotocol = 'binary'): Promise<Port> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => subprotocol })
  await once(server, 'listening')
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/?token=secret`,
    accepted: once(server, 'connection').then(([socket]) => socket as WebSocket),
    next: () => once(server, 'connection').then(([socket]) => socket as WebSocket),
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

  it('passes on all output before it fails with the reason of the end', async () => {
    await using port = await listen()
    const { serial, machine } = await connect(port)
    const reader = serial.readable.getReader()
    for (const word of ['last ', 'words']) machine.send(Buffer.from(word))
    machine.close(4000)
    await serial.ended
    const read = async () => String(Buffer.from((await reader.read()).value!))
    expect([await read(), await read()]).toEqual(['last ', 'words'])
    expect(await failure(read())).toMatchObject({ name: 'ConsoleClosed', code: 4000 })
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

describe('a serial console that is to reconnect', () => {
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, line) => `line ${from + line}\r\n`).join('')

  it('continues its output without the repetition of the proxy, while waits go on', async () => {
    await using port = await listen()
    const [serial, machine] = await Promise.all([openSerial({ url: port.url, reconnect: true }), port.accepted])
    machine.send(Buffer.from(lines(0, 100)))
    await serial.expect('line 99\n')
    const found = serial.expect('line 119\n')
    const next = port.next()
    machine.close(1001)
    const again = await next
    again.send(Buffer.from(lines(10, 120)))
    expect((await found).before).toBe(lines(100, 119).replaceAll('\r', ''))
    await serial.sendLine('root')
    expect(String((await once(again, 'message'))[0])).toBe('root\r')
    await serial.close()
    expect(String(await buffer(serial.readable as never))).toBe(lines(0, 120))
  })

  it('marks output of which it is unknown whether it follows', async () => {
    await using port = await listen()
    const [serial, machine] = await Promise.all([openSerial({ url: port.url, reconnect: true }), port.accepted])
    machine.send(Buffer.from('login: '))
    await serial.expect('login: ')
    const next = port.next()
    machine.close(4000)
    ;(await next).send(Buffer.from('uptime'))
    const { before } = await serial.expect('uptime')
    expect(before).toBe('\n[oriel: the console was opened again; output may be missing here]\n')
    await serial.close()
  })

  it('refuses input while it is opened again, and does not open again after close', async () => {
    await using port = await listen()
    const [serial, machine] = await Promise.all([openSerial({ url: port.url, reconnect: true }), port.accepted])
    machine.close(1001)
    await once(machine, 'close')
    expect(await failure(serial.send('x'))).toEqual(new ConnectionError('network', 'The console is being opened again'))
    await serial.close()
    expect(await serial.ended).toBeUndefined()
    expect(await failure(serial.send('x'))).toEqual(new ConnectionError('network', 'The console is closed'))
  })

  it('ends with the last failure once its time is over', async () => {
    const port = await listen()
    const options = { url: port.url, reconnect: true, reconnectWindowMs: 600 }
    const [serial, machine] = await Promise.all([openSerial(options), port.accepted])
    const end = serial.ended
    machine.close(1001)
    await port[Symbol.asyncDispose]()
    expect(await end).toBeInstanceOf(ConnectionError)
  })

  it('ends after a reason for which a console is not opened again', async () => {
    await using port = await listen()
    const [serial, machine] = await Promise.all([openSerial({ url: port.url, reconnect: true }), port.accepted])
    machine.close(4008)
    expect(await serial.ended).toMatchObject({ name: 'ConsoleClosed', code: 4008 })
  })
})
