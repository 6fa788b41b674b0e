/** A relay between a program and its server, such as a database, that can hold back responses and requests. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { defaultTimeoutMs, within } from '@oriel/testkit'

export interface Gate extends AsyncDisposable {
  readonly port: number
  /** Holds back all further responses of the server. Requests still reach it. */
  close(): void
  /** Resolves when a response is held back. */
  held(): Promise<void>
  /** Holds back the next request that matches `text`, and all later ones. Resolves when there is one. */
  refuse(text: RegExp): Promise<void>
  /** Forwards what was held back, and everything after it. */
  open(): void
  /** Breaks all connections. */
  cut(): void
  /** Breaks all connections, and each new one at once, until `mend`. */
  sever(): void
  mend(): void
  /** Forwards new connections to another port, as after a failover. Open ones are not affected. */
  lead(port: number): void
}

/** Relays from a free port of 127.0.0.1 to `port` there. */
export async function startGate(port: number): Promise<Gate> {
  let target = port
  const sockets = new Set<Socket>()
  const kept: (() => void)[] = []
  let isClosed = false
  let isSevered = false
  let news = Promise.withResolvers<void>()
  let refused: { text: RegExp; found: boolean; seen: PromiseWithResolvers<void> } | undefined
  const admits = (chunk: Buffer) => {
    if (!refused) return true
    if (refused.text.test(chunk.toString('latin1'))) {
      refused.found = true
      refused.seen.resolve()
    }
    return !refused.found
  }
  const pass = (send: () => void) => {
    if (!isClosed) return send()
    kept.push(send)
    news.resolve()
  }
  const gate = createServer({ noDelay: true }, (client) => {
    if (isSevered) return void client.destroy()
    const server = connect({ port: target, host: '127.0.0.1', noDelay: true })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    client.on('data', (chunk) => void (admits(chunk) && server.write(chunk)))
    server.on('data', (chunk) => pass(() => client.write(chunk)))
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  await once(gate.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (gate.address() as AddressInfo).port,
    close() {
      isClosed = true
      news = Promise.withResolvers()
    },
    held: () => within(news.promise, defaultTimeoutMs, () => 'the database answered nothing'),
    refuse(text) {
      refused = { text, found: false, seen: Promise.withResolvers() }
      return within(refused.seen.promise, defaultTimeoutMs, () => `nobody asked for ${text}`)
    },
    open() {
      isClosed = false
      for (const send of kept.splice(0)) send()
    },
    cut,
    sever() {
      isSevered = true
      cut()
    },
    mend() {
      isSevered = false
    },
    lead(other) {
      target = other
    },
    async [Symbol.asyncDispose]() {
      cut()
      gate.close()
      await once(gate, 'close')
    },
  }
}
