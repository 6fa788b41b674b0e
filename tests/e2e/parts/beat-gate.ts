/** A relay between a proxy and its api that can hold back heartbeats. Other requests pass. */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defaultTimeoutMs, within } from '@oriel/testkit'

export interface BeatGate extends AsyncDisposable {
  readonly port: number
  /** Holds back all further heartbeats. Resolves when those in progress have finished. */
  hold(): Promise<void>
  /** Lets one heartbeat pass: the waiting one, or else the next one. */
  passOne(): void
  /** Lets all heartbeats pass. */
  open(): void
}

/** Relays from a free port of 127.0.0.1 to the api at `apiPort` there. */
export async function startBeatGate(apiPort: number): Promise<BeatGate> {
  // One connection for each request, because a test may kill and restart the api.
  const agent = new Agent({ keepAlive: false })
  const waiting: Exchange[] = []
  const underWay = new Set<Promise<void>>()
  let passes = Number.POSITIVE_INFINITY
  const pass = (exchange: Exchange) => {
    const done = forward(exchange, apiPort, agent).finally(() => underWay.delete(done))
    underWay.add(done)
  }
  const passWaiting = () => {
    while (passes > 0 && waiting.length > 0) {
      passes -= 1
      pass(waiting.shift()!)
    }
  }
  const server = createServer((incoming, response) => {
    const exchange = { incoming, response }
    if (!isBeat(incoming)) return void forward(exchange, apiPort, agent)
    waiting.push(exchange)
    // A proxy aborts a heartbeat at its deadline and sends another one.
    response.once('close', () => void (waiting.includes(exchange) && waiting.splice(waiting.indexOf(exchange), 1)))
    passWaiting()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async hold() {
      passes = 0
      await Promise.all(underWay)
    },
    passOne() {
      passes += 1
      passWaiting()
    },
    open() {
      passes = Number.POSITIVE_INFINITY
      passWaiting()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/**
 * Checks that `outcome` resolves with the first heartbeat after `act`. Holds back further heartbeats until then.
 * @throws Error if it does not
 */
export async function withinOneBeat<T>(gate: BeatGate, act: () => Promise<unknown>, outcome: Promise<T>): Promise<T> {
  await gate.hold()
  try {
    await act()
    gate.passOne()
    return await within(outcome, defaultTimeoutMs, () => 'a beat passed, and this did not come of it')
  } finally {
    gate.open()
  }
}

interface Exchange {
  readonly incoming: IncomingMessage
  readonly response: ServerResponse
}

/** The other routes of a proxy are below its own, and may wait for a change. */
const isBeat = ({ url = '' }: IncomingMessage) => /\/oriel\/v1\/proxies\/[^/]+$/.test(url)

/**
 * Forwards a request. Resolves when the exchange has ended, even by an error, which also breaks the other connection.
 */
function forward({ incoming, response }: Exchange, port: number, agent: Agent): Promise<void> {
  const { method, url, headers } = incoming
  const outgoing = request({ host: '127.0.0.1', port, method, path: url, headers, agent }, (answer) => {
    response.writeHead(answer.statusCode!, answer.rawHeaders)
    answer.on('error', () => response.destroy()).pipe(response)
  })
  outgoing.on('error', () => response.destroy())
  response.once('close', () => outgoing.destroy())
  incoming.pipe(outgoing)
  return once(response, 'close').then(() => {})
}
