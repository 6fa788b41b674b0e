import { describe, expect, it, vi } from 'vitest'
import { LegFault, type SecuredLeg } from '../../src/hypervisor/leg.ts'
import { RestartingLeg } from '../../src/serial/restarting-leg.ts'
import { scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const CLOSED = '\r\n[oriel: the machine closed its serial port]\r\n'
const RESTARTED = '\r\n[oriel: the machine restarted]\r\n'

/** A leg whose first connection is open. The test opens the next one. */
function restarting() {
  const first = scriptedLeg()
  let next = Promise.withResolvers<SecuredLeg>()
  const reopen = vi.fn(() => next.promise)
  const leg = new RestartingLeg(first.leg, reopen)
  const reopened = async (rest = '') => {
    const port = scriptedLeg()
    const { resolve } = next
    next = Promise.withResolvers()
    resolve({ hypervisor: port.leg, rest: Buffer.from(rest) })
    await settled()
    return port
  }
  const refuse = async () => {
    next.reject(new Error('given up'))
    await settled()
  }
  return { first, leg, reopen, reopened, refuse }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const end = async (port: ReturnType<typeof scriptedLeg>, cause?: Error) => {
  port.end(cause)
  await settled()
}

describe('a leg to a serial port that restarts', () => {
  it('passes output and input of both connections, and a line for each change between them', async () => {
    const { first, leg, reopened } = restarting()
    const viewer = viewerOf(leg)
    first.say(Buffer.from('one'))
    viewer.write(Buffer.from('a'))
    await end(first)
    expect(viewer.write(Buffer.from('lost'))).toBe(true)
    expect(String(viewer.seen())).toBe(`one${CLOSED}`)
    const second = await reopened('Sea')
    second.say(Buffer.from('BIOS'))
    viewer.write(Buffer.from('b'))
    expect(String(viewer.seen())).toBe(`one${CLOSED}${RESTARTED}SeaBIOS`)
    expect([String(first.heard()), String(second.heard())]).toEqual(['a', 'b'])
    expect([first.lent(), second.lent(), leg.lentBytes]).toEqual([0, 0, 0])
  })

  it('says of a connection that broke that it was lost, and not that the machine restarted', async () => {
    const { first, leg, reopened } = restarting()
    const viewer = viewerOf(leg)
    await end(first, new Error('ECONNRESET'))
    await reopened()
    expect(String(viewer.seen())).toMatch(/serial port was lost\]\r\n\r\n\[oriel: the connection is back\]\r\n$/)
  })

  it('ends with the cause of the first end if the port is not opened again', async () => {
    const { first, leg, refuse } = restarting()
    const cause = new Error('ECONNRESET')
    await end(first, cause)
    await refuse()
    expect(await leg.closed).toBe(cause)
  })

  it('ends at once, without another attempt, with a fault of the guest', async () => {
    const { first, leg, reopen } = restarting()
    const fault = new LegFault('wrong_instance', 'the server speaks RFB')
    await end(first, fault)
    expect(await leg.closed).toBe(fault)
    expect(reopen).not.toHaveBeenCalled()
  })

  it('keeps what it has for a paused reader, and gives no bytes of the first connection back to the second', async () => {
    const { first, leg, reopened } = restarting()
    const held: Buffer[] = []
    let wants = false
    leg.take((bytes) => {
      held.push(bytes)
      return wants
    })
    first.say(Buffer.from('one'))
    await end(first)
    const second = await reopened('two')
    expect(held.map(String)).toEqual(['one'])
    expect(second.isPaused()).toBe(true)
    wants = true
    leg.resume()
    expect(String(Buffer.concat(held))).toBe(`one${CLOSED}${RESTARTED}two`)
    expect(second.isPaused()).toBe(false)
    for (const bytes of held) leg.giveBack(bytes)
    expect(second.lent()).toBe(0)
    leg.pause()
    expect(second.isPaused()).toBe(true)
  })

  it('lets a writer that waited go on after the restart', async () => {
    const { first, leg, reopened } = restarting()
    const viewer = viewerOf(leg)
    await end(first)
    const second = await reopened()
    const before = viewer.drains()
    second.drain()
    expect([before, viewer.drains()]).toEqual([1, 2])
  })

  it('closes a connection that opens after its disposal', async () => {
    const { first, leg, reopened } = restarting()
    await end(first)
    leg[Symbol.dispose]()
    const second = await reopened()
    expect(await second.leg.closed).toBeUndefined()
    expect(await leg.closed).toBeUndefined()
  })
})
