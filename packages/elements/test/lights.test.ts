import { describe, expect, it } from 'vitest'
import { KeyboardLights } from '../src/vnc/lights.ts'

const off = { numLock: false, capsLock: false }
const LONG_MS = 60_000

describe('the lights of a keyboard', () => {
  it('are absent until the server has reported them', () => {
    const lights = new KeyboardLights()
    expect(lights.light('numLock')).toBeUndefined()
    lights.report({ numLock: true, capsLock: false })
    expect(lights.light('numLock')).toMatchObject({ isOn: true, changes: 0 })
  })

  it('count the changes of each', async () => {
    const lights = reported()
    const [numLock, capsLock] = [lights.light('numLock')!, lights.light('capsLock')!]
    const changed = numLock.hasChanged(2, LONG_MS)
    lights.report({ numLock: true, capsLock: false })
    lights.report({ numLock: true, capsLock: true })
    lights.report({ numLock: false, capsLock: true })
    expect(await changed).toBe(true)
    expect([numLock.changes, capsLock.changes]).toEqual([2, 1])
  })

  it('resolve with false if they have not changed in time', async () => {
    expect(await reported().light('numLock')!.hasChanged(1, 0)).toBe(false)
  })

  it('reject the waits when typing is stopped, and when the console ends', async () => {
    const lights = reported()
    const stop = new AbortController()
    const stopped = lights.light('numLock', stop.signal)!.hasChanged(1, LONG_MS)
    const ended = lights.light('numLock')!.hasChanged(1, LONG_MS)
    stop.abort(new Error('stop'))
    await expect(stopped).rejects.toThrow('stop')
    lights.close(new Error('lost'))
    await expect(ended).rejects.toThrow('lost')
    await expect(lights.light('numLock')!.hasChanged(1, LONG_MS)).rejects.toThrow('lost')
  })
})

function reported(): KeyboardLights {
  const lights = new KeyboardLights()
  lights.report(off)
  return lights
}
