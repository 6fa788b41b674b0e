/** Watchers of each console type, through a running proxy. */
import type { Peer } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { dial, open, type RunOptions, running } from '../fixture.ts'
import { cutText, keyEvent, payload, setEncodings, updateRequest } from './client-messages.ts'

const OUTPUT = Buffer.from('output')

/** A proxy whose guest sends `OUTPUT`. `input` resolves with the guest's whole input once its connection has ended. */
async function watched(options: RunOptions) {
  const input = Promise.withResolvers<Buffer>()
  const record = async (peer: Peer) => {
    await peer.send(OUTPUT)
    input.resolve(await peer.readToEnd({ timeoutMs: 60_000 }))
  }
  const play = options.consoles ? { hypervisor: record } : { guest: record }
  const run = await running({ admission: () => ({ role: 'watch' }), ...play, ...options })
  return Object.assign(run, { input: input.promise })
}

describe('a watcher', () => {
  it('of a VNC console shares the desktop, requests its picture, and sends no input', async () => {
    await using run = await watched({})
    using client = await open(run.address)
    client.ws.send(Buffer.concat([Buffer.of(0), keyEvent, setEncodings([7, -309, -316])]))
    client.ws.send(Buffer.concat([cutText(1000), updateRequest]))
    expect(await client.read(OUTPUT.length)).toEqual(OUTPUT)
    client.ws.close()
    expect(await run.input).toEqual(Buffer.concat([Buffer.of(1), setEncodings([7]), updateRequest]))
  })

  it('of a VNC console sends no input together with the handshake', async () => {
    await using run = await watched({})
    using client = await dial(run.address)
    await client.read(12)
    client.ws.send(Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(1, 0), keyEvent, updateRequest]))
    await client.read(2 + 4 + OUTPUT.length)
    client.ws.close()
    expect(await run.input).toEqual(Buffer.concat([Buffer.of(1), updateRequest]))
  })

  it('of a VNC console ends as protocol_error at a message that the proxy does not know', async () => {
    await using run = await watched({})
    using client = await open(run.address)
    client.ws.send(Buffer.concat([Buffer.of(1), updateRequest, Buffer.of(7), payload(20)]))
    expect(await client.closed()).toMatchObject({ code: 1002 })
    expect(run.log.records('session ended')).toMatchObject([
      { reason: 'protocol_error', detail: 'the client sent a message of the unknown type 7' },
    ])
    expect(await run.input).toEqual(Buffer.concat([Buffer.of(1), updateRequest]))
  })

  it('of a serial console sees its output, and sends no input', async () => {
    await using run = await watched({ consoles: ['serial'] })
    using client = await dial(run.address)
    client.ws.send('reboot\r')
    client.ws.send(Buffer.from('reboot\r'))
    expect(await client.read(OUTPUT.length)).toEqual(OUTPUT)
    client.ws.close()
    await client.closed()
    await expect.poll(() => run.log.records('session ended')).toMatchObject([{ bytesToConsole: 14 }])
    expect(await run.input).toEqual(Buffer.alloc(0))
  })

  it.each(['webmks', 'spice-html5'])('of a %s console is refused: nothing could withhold its input', async (type) => {
    await using run = await watched({ consoles: [type] })
    await expect(dial(run.address)).rejects.toThrow('status 403')
    expect(run.log.records('refused')).toMatchObject([{ refusal: 'wrong_console_type' }])
  })
})

describe('a session with control', () => {
  it('sends its ClientInit and messages of unknown types as they are', async () => {
    await using run = await watched({ admission: () => ({ role: 'control' }) })
    using client = await open(run.address)
    const sent = Buffer.concat([Buffer.of(0), keyEvent, setEncodings([7, -309, -316]), Buffer.of(7), payload(20)])
    client.ws.send(sent)
    expect(await client.read(OUTPUT.length)).toEqual(OUTPUT)
    client.ws.close()
    expect(await run.input).toEqual(sent)
  })
})
