import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { OpenPages, type PageSession } from '../../src/session/page-sessions.ts'
import { open, type Running, running } from '../fixture.ts'

const KEY = 'qqqqqqqqqqqqqqqqqqqqqQ'
const DIGEST = createHash('sha256').update(KEY).digest('hex')
const PROTOCOLS = ['binary', `oriel.page.${KEY}`]

const session = (id: string, facts: Partial<PageSession['facts']> = {}): PageSession => ({
  id,
  facts: { tokenDigest: 't', instance: 'i', client: 'c', type: 'novnc', role: 'control', listener: 'l', ...facts },
})

describe('the session that a page key names', () => {
  it('is the newest one, also after an earlier one has ended', () => {
    const pages = new OpenPages()
    const first = pages.add(DIGEST, session('first'))
    using _second = pages.add(DIGEST, session('second'))
    expect(pages.find(DIGEST)?.id).toBe('second')
    first[Symbol.dispose]()
    expect(pages.find(DIGEST)?.id).toBe('second')
  })

  it('is the first of the channels that a page opens with one token', () => {
    const pages = new OpenPages()
    using _main = pages.add(DIGEST, session('main', { type: 'spice-html5' }))
    using _inputs = pages.add(DIGEST, session('inputs', { type: 'spice-html5' }))
    expect(pages.find(DIGEST)?.id).toBe('main')
    using _other = pages.add(DIGEST, session('other', { type: 'spice-html5', tokenDigest: 'u' }))
    expect(pages.find(DIGEST)?.id).toBe('other')
  })

  it('is not found once the session has ended', () => {
    const pages = new OpenPages()
    pages.add(DIGEST, session('only'))[Symbol.dispose]()
    expect(pages.find(DIGEST)).toBeUndefined()
  })
})

describe('a console that a page opens with a key', () => {
  const idOf = ({ proxy }: Running) => proxy.sessions()[0]?.id

  it('is found by the SHA-256 of the key until it ends', async () => {
    const pageSessions = new OpenPages()
    await using it = await running({ pageSessions })
    using client = await open(it.address, { protocols: PROTOCOLS })
    expect(pageSessions.find(DIGEST)).toMatchObject({ id: idOf(it), facts: { type: 'novnc', role: 'control' } })
    client.ws.close()
    await client.closed()
    await expect.poll(() => pageSessions.find(DIGEST)).toBeUndefined()
  })

  it('leaves the key out of the log', async () => {
    await using it = await running()
    using _client = await open(it.address, { protocols: PROTOCOLS })
    await expect(open(it.address, { protocols: [...PROTOCOLS, 'oriel.page.x'] })).rejects.toThrow('status 400')
    await expect(open(it.address, { protocols: ['base64', ...PROTOCOLS.slice(1)] })).rejects.toThrow('status 400')
    expect(it.log.records('session opened')).toHaveLength(1)
    expect(it.log.text()).not.toContain(KEY)
  })
})
