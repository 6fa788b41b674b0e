/** Two hubs, as of two workers, whose sessions have one serial port open when its machine moves. */
import { silentLogger } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { type HeldPorts, PortFolder, PortsOfWorker, RemotePorts } from '../../src/fleet/serial-ports.ts'
import type { SecuredLeg } from '../../src/hypervisor/leg.ts'
import { type PortPlace, SerialHub } from '../../src/serial/hub.ts'
import { scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const MARK = '\r[moved to another host]\r\n'
const SETTINGS = { maxBytes: 1024, keepMs: 1000 }
const never = new AbortController().signal

/** Workers that ask one primary who has a port. */
function fleet() {
  const folder = new PortFolder()
  const held: HeldPorts = new Map()
  const dialled: { readonly portId: string; readonly port: ReturnType<typeof scriptedLeg> }[] = []
  const barred = new Set<string>()
  const arrival = Promise.withResolvers<string>()
  const open = (portId: string) => async (): Promise<SecuredLeg> => {
    const port = scriptedLeg()
    dialled.push({ portId, port })
    return { hypervisor: port.leg, rest: Buffer.alloc(0) }
  }
  const find = async (): Promise<PortPlace> => {
    const portId = await arrival.promise
    return { portId, open: open(portId), admits: async (id) => !barred.has(id), reached: () => {} }
  }
  const startWorker = () => {
    const answers = new PortsOfWorker(held, folder).answers as Record<string, (...args: unknown[]) => unknown>
    const ask = async (name: string, ...args: unknown[]) => answers[name]!(...args)
    const askFor = (_late: unknown, name: string, ...args: unknown[]) => ask(name, ...args)
    const hub = new SerialHub(SETTINGS, new RemotePorts(() => ({ ask, askFor }) as never, silentLogger()))
    return async (sessionId: string, portId = 'old') =>
      viewerOf(await hub.join({ portId, replay: true, open: open(portId), signal: never, sessionId, finder: { find } }))
  }
  return {
    ...{ dialled, barred, arrive: arrival.resolve, one: startWorker(), two: startWorker() },
    holders: () => [...held.keys()],
    say: (text: string) => dialled.at(-1)!.port.say(Buffer.from(text)),
    lose: () => dialled.at(-1)!.port.end(undefined),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

const text = (viewer: ReturnType<typeof viewerOf>) => String(viewer.seen())

describe('a serial port of a machine that moves, with viewers in two workers', () => {
  it('goes on for all viewers through one connection, without a gap or a double', async () => {
    await using it = fleet()
    const viewers = [await it.one('s1'), await it.two('s2'), await it.two('s3')]
    it.say('one\r\n')
    for (const viewer of viewers) await expect.poll(() => text(viewer)).toBe('one\r\n')
    it.lose()
    it.arrive('new')
    await expect.poll(() => it.dialled.length).toBe(2)
    it.say('two\r\n')
    for (const viewer of viewers) await expect.poll(() => text(viewer)).toBe(`one\r\n${MARK}two\r\n`)
    expect(it.dialled.map(({ portId }) => portId)).toEqual(['old', 'new'])
    expect(it.holders()).toEqual(['new'])
    for (const [at, viewer] of viewers.entries()) {
      viewer.write(Buffer.from(`${at}`))
      await expect.poll(() => String(it.dialled[1]!.port.heard())).toHaveLength(at + 1)
    }
  })

  it('shows each viewer the line once if the move has cut a line in two', async () => {
    await using it = fleet()
    const viewers = [await it.one('s1'), await it.two('s2')]
    it.say('cut in ')
    for (const viewer of viewers) await expect.poll(() => text(viewer)).toBe('cut in ')
    it.lose()
    it.arrive('new')
    await expect.poll(() => it.dialled.length).toBe(2)
    for (const byte of 'two\r\nnext') it.say(byte)
    for (const viewer of viewers) await expect.poll(() => text(viewer)).toBe(`cut in two\r\n${MARK}next`)
  })

  it('goes on through the worker that has it open at the new host already', async () => {
    await using it = fleet()
    const viewers = [await it.one('s1'), await it.two('s2')]
    const { port } = it.dialled[0]!
    const early = await it.two('s3', 'new')
    port.end(undefined)
    it.arrive('new')
    it.say('two\r\n')
    for (const viewer of viewers) await expect.poll(() => text(viewer)).toBe(`${MARK}two\r\n`)
    await expect.poll(() => text(early)).toBe('two\r\n')
    expect(it.dialled).toHaveLength(2)
  })

  it('shows a viewer who opens it at the new host in another worker the output of both hosts', async () => {
    await using it = fleet()
    const first = await it.one('s1')
    it.say('one\r\n')
    it.lose()
    it.arrive('new')
    await expect.poll(() => text(first)).toBe(`one\r\n${MARK}`)
    const later = await it.two('s2', 'new')
    it.say('two')
    await expect.poll(() => text(later)).toBe(`one\r\n${MARK}two`)
    expect(it.dialled).toHaveLength(2)
  })

  it('leaves out a viewer who may not go on, in whichever worker', async () => {
    await using it = fleet()
    const [stays, revoked] = [await it.one('s1'), await it.two('s2')]
    it.barred.add('s2')
    it.lose()
    revoked.write(Buffer.from('rm'))
    it.arrive('new')
    expect(await revoked.closed).toMatchObject({ reason: 'moved' })
    await expect.poll(() => it.dialled.length).toBe(2)
    it.say('two')
    await expect.poll(() => text(stays)).toBe(`${MARK}two`)
    expect([text(revoked), String(it.dialled[1]!.port.heard())]).toEqual(['', ''])
  })
})
