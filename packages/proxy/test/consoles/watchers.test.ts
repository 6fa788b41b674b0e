/** Watchers of each console type, through a running proxy. */
import type { Peer } from '@oriel/testkit'
import { cutText, keyEvent, payload, setEncodings, updateRequest } from '@oriel/testkit/rfb-messages'
import { describe, expect, it } from 'vitest'
import { buildLinkMessage, buildLinkReply } from '../../src/spice/wire/link.ts'
import { dial, open, type RunOptions, running } from '../fixture.ts'
import { message } from '../spice/fixture.ts'

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

  it('of a spice-html5 console opens the channel inputs, and sends no input', async () => {
    const link = buildLinkMessage({ connectionId: 1, channelType: 3, channelId: 0, common: [0x0b], channel: [] })
    const reply = buildLinkReply({ publicKey: Buffer.alloc(162), common: [0x0b], channel: [] })
    const input = Promise.withResolvers<Buffer>()
    const hypervisor = async (peer: Peer) => {
      await peer.expect(link)
      await peer.send(reply)
      input.resolve(await peer.readToEnd({ timeoutMs: 60_000 }))
    }
    await using run = await watched({ consoles: ['spice-html5'], hypervisor })
    using client = await dial(run.address)
    client.ws.send(link)
    await client.read(reply.length)
    const [begin, pong] = [Buffer.alloc(132, 1).fill(0, 1, 4), message(3, Buffer.alloc(12))]
    client.ws.send(Buffer.concat([begin, message(101, Buffer.alloc(4)), pong]))
    client.ws.close()
    expect(await input.promise).toEqual(Buffer.concat([begin, pong]))
  })

  it('of a webmks console is refused: the proxy cannot withhold its input', async () => {
    await using run = await watched({ consoles: ['webmks'] })
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
