/** Stands between a proxy and its api, and counts out the heartbeats: all else passes. */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defaultTimeoutMs, within } from '@oriel/testkit'

export interface BeatGate extends AsyncDisposable {
  readonly port: number
  /** From now on beats wait; resolves when none is on its way any more. */
  hold(): Promise<void>
  /** Lets one beat pass, the one that waits or the next that comes. */
  passOne(): void
  /** Lets all of them pass. */
  open(): void
}

/** Relays from a free port of 127.0.0.1 to the api at `apiPort` there. */
export async function startBeatGate(apiPort: number): Promise<BeatGate> {
  // A connection for each request: the api behind may be killed and started again.
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
    // A proxy that waits too long gives this beat up and sends another.
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
 * What `act` asks an api for has come true with the first beat that is sent after it: no other passes before `outcome`.
 * @throws Error when it has not
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

const isBeat = ({ url = '' }: IncomingMessage) => url.includes('/oriel/v1/proxies/')

/** Resolves when the exchange is over, well or not: a broken connection is broken on the other side too. */
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
