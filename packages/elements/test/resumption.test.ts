import type { ResumeAnswer } from '@oriel/contract'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Resumption, type ResumptionOptions, resumeUrl } from '../src/resumption.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000 }))
afterEach(() => void vi.useRealTimers())

const WITH_TOKEN = new URL('wss://h/novnc/?instance=i&token=t')
const KEY = 'k'.repeat(22)
const HOUR = 3_600

const ticketed = (ticket: string | undefined, seconds = HOUR): ResumeAnswer => ({
  handle: 'h',
  expires_at: new Date(Date.now() + seconds * 1000).toISOString(),
  expires_in_seconds: seconds,
  ...(ticket === undefined ? {} : { ticket }),
})

/** A page whose proxy gives these answers, and then refuses like an older one. */
function page(answers: readonly (ResumeAnswer | number | Error)[], more: Partial<ResumptionOptions> = {}) {
  const left = [...answers]
  const asked: { url: string; body: unknown }[] = []
  const tab = new Map<string, string>()
  const handles: string[] = []
  const fetch = vi.fn(async (url: URL, init: RequestInit) => {
    asked.push({ url: url.href, body: JSON.parse(init.body as string) })
    const answer = left.shift() ?? 405
    if (answer instanceof Error) throw answer
    return typeof answer === 'number' ? new Response('{}', { status: answer }) : Response.json(answer)
  })
  const resumption = new Resumption({
    store: 'memory',
    tab: {
      getItem: (key) => tab.get(key) ?? null,
      setItem: (key, value) => void tab.set(key, value),
      removeItem: (key) => void tab.delete(key),
    },
    onReloadable: (handle) => void handles.push(handle),
    fetch: fetch as never,
    ...more,
  })
  const open = async () => {
    resumption.opened({ address: WITH_TOKEN, pageKey: KEY })
    await vi.advanceTimersByTimeAsync(0)
  }
  return { resumption, asked, tab, handles, open }
}
const later = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

describe('an open console', () => {
  it('gets a ticket beside its address without the token, and dials with it in place of the token', async () => {
    const it_ = page([ticketed('t1')])
    expect(it_.resumption.dialled(WITH_TOKEN)).toEqual({ address: WITH_TOKEN })
    await it_.open()
    expect(it_.asked).toEqual([{ url: 'https://h/novnc/oriel.resume?instance=i', body: { key: KEY, cookie: false } }])
    const { address, ticket } = it_.resumption.dialled(WITH_TOKEN)
    expect([address.href, ticket]).toEqual(['wss://h/novnc/?instance=i', 't1'])
    expect([it_.handles, it_.resumption.isValid, it_.tab.size]).toEqual([[], true, 0])
  })

  it('names the cookie that has its ticket', async () => {
    const it_ = page([ticketed(undefined)], { store: 'cookie' })
    await it_.open()
    expect(it_.asked[0]!.body).toEqual({ key: KEY, cookie: true })
    const { address, ticket } = it_.resumption.dialled(WITH_TOKEN)
    expect([address.href, ticket]).toEqual(['wss://h/novnc/?instance=i&resume=h', undefined])
    expect(it_.handles).toEqual(['h'])
  })

  it('keeps its ticket in the tab, where a reload finds it by the handle in the address', async () => {
    const it_ = page([ticketed('t1')], { store: 'tab' })
    await it_.open()
    expect(it_.handles).toEqual(['h'])
    const reloaded = page([]).resumption
    const address = new URL('wss://h/?resume=h')
    expect(reloaded.dialled(address).ticket).toBeUndefined()
    const same = page([], { tab: { getItem: (key: string) => it_.tab.get(key) ?? null } as never }).resumption
    const dialled = same.dialled(address)
    expect([dialled.address.href, dialled.ticket]).toEqual(['wss://h/', 't1'])
  })

  it('keeps its ticket in memory, and its token in its address, if the browser stores nothing', async () => {
    const refuse = () => {
      throw new Error('the quota is exceeded')
    }
    const tab = { getItem: () => null, setItem: refuse, removeItem: () => {} }
    const it_ = page([ticketed('t1'), ticketed('t2', 2 * HOUR)], { store: 'tab', tab })
    await it_.open()
    await later(HOUR / 4)
    expect([it_.resumption.dialled(WITH_TOKEN).ticket, it_.handles]).toEqual(['t2', []])
  })

  it('renews its ticket after a quarter of its life, as long as the console is open', async () => {
    const it_ = page([ticketed('t1'), ticketed('t2', HOUR + 900), 503, new Error('no network')])
    await it_.open()
    await later(HOUR / 4 - 1)
    expect(it_.resumption.dialled(WITH_TOKEN).ticket).toBe('t1')
    await later(1)
    expect(it_.resumption.dialled(WITH_TOKEN).ticket).toBe('t2')
    it_.resumption.closed()
    await later(HOUR)
    expect(it_.asked).toHaveLength(2)
    expect(it_.resumption.dialled(WITH_TOKEN).ticket).toBe('t2')
  })

  it('tries to renew again after a failure', async () => {
    const it_ = page([ticketed('t1'), 503, ticketed('t3', 2 * HOUR)])
    await it_.open()
    await later(HOUR / 2)
    expect(it_.resumption.dialled(WITH_TOKEN).ticket).toBe('t3')
  })

  it('stops renewing once a ticket does not live longer than the one before', async () => {
    const end = new Date(Date.now() + HOUR * 1000).toISOString()
    const bounded = (ticket: string, seconds: number) => ({ ...ticketed(ticket, seconds), expires_at: end })
    const it_ = page([bounded('t1', HOUR), bounded('t2', 2700), bounded('t3', 2000)])
    await it_.open()
    await later(HOUR)
    expect(it_.asked).toHaveLength(2)
    expect(it_.resumption.isValid).toBe(false)
  })

  it('asks again while another proxy behind the balancer answers, and after a network failure', async () => {
    const it_ = page([403, new Error('no network'), ticketed('t1')])
    await it_.open()
    await later(2)
    expect(it_.resumption.dialled(WITH_TOKEN).ticket).toBe('t1')
  })

  it.each([
    ['an older proxy', [405], 1],
    ['a server that has no such resource', [404], 1],
    ['proxies of which none has the session', Array.from({ length: 20 }, () => 403), 6],
  ])('keeps its token with %s', async (_, answers, asks) => {
    const it_ = page(answers)
    await it_.open()
    await later(HOUR)
    expect(it_.asked).toHaveLength(asks)
    expect([it_.resumption.dialled(WITH_TOKEN), it_.handles, it_.resumption.isValid]).toEqual([
      ...[{ address: WITH_TOKEN }, [], false],
    ])
  })

  it('dials with its token again once the proxy has refused its ticket', async () => {
    const it_ = page([ticketed('t1')], { store: 'tab' })
    await it_.open()
    expect(it_.resumption.forget()).toBe(true)
    expect([it_.resumption.dialled(WITH_TOKEN), it_.tab.size, it_.resumption.isValid]).toEqual([
      ...[{ address: WITH_TOKEN }, 0, false],
    ])
    expect(it_.resumption.forget()).toBe(false)
  })
})

it('asks for tickets beside the console', () => {
  expect(resumeUrl(new URL('ws://h:6080/c/websockify?resume=x')).href).toBe('http://h:6080/c/oriel.resume')
})
