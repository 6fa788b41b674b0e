/** The pictures of the home page's list: how many are loaded at once, and the text in place of a missing one. */
import { createClient, type Fetch, noAuth } from '@oriel/sdk'
import { describe, expect, it } from 'vitest'
import { LoadQueue } from '../src/pages/load-queue.ts'
import { noScreenText, screenTroubleText } from '../src/pages/screen-texts.ts'

describe('LoadQueue', () => {
  /** Starts loads that settle when the test does so, and returns the order in which they start. */
  function start(count: number) {
    const queue = new LoadQueue(2)
    const started: number[] = []
    const loads = Array.from({ length: count }, () => Promise.withResolvers<number>())
    const results = loads.map(({ promise }, i) =>
      queue.run(() => {
        started.push(i)
        return promise
      }),
    )
    return { queue, started, loads, results }
  }

  it('starts two loads at a time, in order', async () => {
    const { started, loads, results } = start(4)
    expect(started).toEqual([0, 1])
    loads[1]!.resolve(11)
    expect(await results[1]).toBe(11)
    await expect.poll(() => started).toEqual([0, 1, 2])
    for (const { resolve } of loads) resolve(0)
    await Promise.all(results)
    expect(started).toEqual([0, 1, 2, 3])
  })

  it('goes on after a load that failed, and after a pause', async () => {
    const { queue, loads, results } = start(3)
    loads[0]!.reject(new Error('no'))
    await expect(results[0]).rejects.toThrow('no')
    loads[1]!.resolve(1)
    loads[2]!.resolve(2)
    expect(await Promise.all(results.slice(1))).toEqual([1, 2])
    let running = 0
    const more = [1, 2, 3].map(() => queue.run(async () => void running++))
    expect(running).toBe(2)
    await Promise.all(more)
    expect(running).toBe(3)
  })
})

describe('noScreenText', () => {
  it.each([
    [null, null, undefined],
    [['novnc', 'serial'], null, undefined],
    [['serial'], null, 'No VNC console.'],
    [[], 'off', 'No VNC console.'],
    [null, 'off', 'The machine is off.'],
    [['novnc'], 'moving', 'The machine is being moved.'],
  ] as const)('of a machine with the consoles %j that is unavailable because %s: %s', (consoles, unavailable, text) => {
    expect(noScreenText({ consoles, unavailable })).toBe(text)
  })
})

describe('screenTroubleText', () => {
  const now = new Date('2026-11-28T10:12:00')
  const later = new Date('2026-11-28T10:12:31').toLocaleTimeString([], { timeStyle: 'medium' })

  /** The error of a screenshot that the API refuses so. */
  async function refusal(status: number, headers: Record<string, string> = {}): Promise<unknown> {
    const fetch: Fetch = async () =>
      Response.json({ fault: { code: status, message: 'As it is.' } }, { status, headers })
    const client = createClient({ endpoint: 'http://h/v2.1', auth: noAuth(), fetch })
    return client.oriel.showScreenshot({ server_id: 'a' }).catch((error: unknown) => error)
  }

  it.each([
    [401, 'Your sign-in has expired.'],
    [403, 'Your roles do not allow you to see this screen.'],
    [404, 'The machine was not found.'],
    [409, 'The machine shows no screen now.'],
    [429, 'Too many screens were loaded. Refresh again later.'],
    [503, 'As it is.'],
    [504, 'As it is.'],
  ])('of %i is: %s', async (status, text) => {
    expect(screenTroubleText(await refusal(status), now)).toBe(text)
  })

  it('says from when a refused project may refresh', async () => {
    const error = await refusal(429, { 'Retry-After': '31' })
    expect(screenTroubleText(error, now)).toBe(`Too many screens were loaded. Refresh again from ${later}.`)
  })
})
