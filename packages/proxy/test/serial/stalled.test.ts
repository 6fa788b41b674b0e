/** Viewers of one serial port over real sockets, one of which reads nothing while the port floods. */

import { closeReasons } from '@oriel/contract'
import type { Peer } from '@oriel/testkit'
import { expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { dial, OTHER_TOKEN, running } from '../fixture.ts'

/** More than the sockets' buffers and the relay hold for one client. */
const FLOOD_BYTES = 64 * 1024 * 1024
const PIECE = Buffer.alloc(64 * 1024, `${'.'.repeat(62)}\r\n`)

/** Sends the flood once there is input, and then the input itself. */
const flooding = async (peer: Peer) => {
  const input = await peer.read(1)
  for (let sent = 0; sent < FLOOD_BYTES; sent += PIECE.length) await peer.send(PIECE)
  await peer.send(input)
  await peer.closed({ timeoutMs: 60_000 })
}

const other = { path: `/?token=${OTHER_TOKEN}` }

/** Counts what a viewer receives, without keeping it. */
function countOf(ws: WebSocket) {
  let bytes = 0
  let last: Buffer = Buffer.alloc(0)
  let news = Promise.withResolvers<void>()
  ws.removeAllListeners('message')
  ws.on('message', (data: Buffer) => {
    bytes += data.length
    last = Buffer.concat([last, data]).subarray(-128 * 1024)
    news.resolve()
    news = Promise.withResolvers()
  })
  const until = async (isEnough: () => boolean) => {
    while (!isEnough()) await news.promise
  }
  return { bytes: () => bytes, last: () => String(last), until }
}

it('delays no other viewer, and continues with the newest output after a line that says how much was left out', async () => {
  await using run = await running({ consoles: ['serial'], hypervisor: flooding })
  using stalled = await dial(run.address)
  using fast = await dial(run.address, other)
  const [seen, missed] = [countOf(fast.ws), countOf(stalled.ws)]
  stalled.ws.pause()
  fast.ws.send('!')
  await seen.until(() => seen.bytes() === FLOOD_BYTES + 1)
  stalled.ws.resume()
  await missed.until(() => missed.last().endsWith('!'))
  const [marker, bytes] = /\r\n\[oriel: (\d+) bytes of output were left out\]\r\n/.exec(missed.last())!
  expect(missed.bytes()).toBe(FLOOD_BYTES + 1 - Number(bytes) + marker.length)
})

it('is ended as client_stalled, while another viewer stays', async () => {
  await using run = await running({ consoles: ['serial'], hypervisor: flooding, timing: { stalledAfterMs: 2000 } })
  using stalled = await dial(run.address)
  using fast = await dial(run.address, other)
  const seen = countOf(fast.ws)
  stalled.ws.pause()
  fast.ws.send('!')
  await seen.until(() => seen.bytes() === FLOOD_BYTES + 1)
  await expect.poll(() => run.log.records('session ended')).toMatchObject([{ reason: 'client_stalled' }])
  stalled.ws.resume()
  expect(await stalled.closed()).toMatchObject({ code: closeReasons.client_stalled.code })
  await expect.poll(() => run.proxy.sessions()).toHaveLength(1)
})
