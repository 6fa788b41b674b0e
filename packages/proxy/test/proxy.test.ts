import { describe, expect, it } from 'vitest'
import { open, running } from './fixture.ts'

describe('a console, from the Upgrade to its end', () => {
  it('relays in both directions', async () => {
    await using proxy = await running({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        await peer.send(Buffer.from('pixels'))
        await peer.expect(Buffer.from('keys'))
      },
    })
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(1))
    expect((await client.read(6)).toString()).toBe('pixels')
    client.ws.send(Buffer.from('keys'))
    expect(await client.closed()).toEqual({ code: 1000, text: 'The machine closed the console.' })
  })
})
