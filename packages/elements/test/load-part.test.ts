import { describe, expect, it } from 'vitest'
import { loadPart, once, PartNotLoaded } from '../src/load-part.ts'

describe('loadPart', () => {
  it('returns the part', async () => {
    expect(await loadPart(async () => 'part')).toBe('part')
  })

  it('says in the language of the user that a part is missing, with what the browser says as the cause', async () => {
    const cause = new TypeError('Failed to fetch dynamically imported module')
    const failed = loadPart(() => Promise.reject(cause))
    await expect(failed).rejects.toThrow(PartNotLoaded)
    await expect(failed).rejects.toMatchObject({ message: 'A part of this page could not be loaded.', cause })
  })
})

describe('once', () => {
  it('makes a thing once, also for callers that come while it is made', async () => {
    let made = 0
    const get = once(async () => {
      made += 1
      return {}
    })
    const [first, second] = await Promise.all([get(), get()])
    expect(second).toBe(first)
    expect(await get()).toBe(first)
    expect(made).toBe(1)
  })

  it('tries again after a failure', async () => {
    let attempts = 0
    const get = once(async () => {
      attempts += 1
      if (attempts === 1) throw new Error('not yet')
      return 'made'
    })
    await expect(get()).rejects.toThrow('not yet')
    expect(await get()).toBe('made')
  })
})
