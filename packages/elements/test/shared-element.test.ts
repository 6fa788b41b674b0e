import type { PresenceState } from '@oriel/contract'
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'

const SOMEBODY = {
  id: 'a',
  label: null,
  role: 'control' as const,
  since: '2026-03-01T09:30:00.000Z',
  has_control: true,
}
const OTHER = { ...SOMEBODY, id: 'b', label: 'Ann' }
const control = { held_by: null, may_take: true, requested_by: [] }
const STATE = { type: 'state' as const, you: 'a', participants: [SOMEBODY], control, ends_at: null, latency_ms: null }

let socket: EventTarget
beforeEach(() => {
  vi.stubGlobal('HTMLElement', class extends EventTarget {})
  vi.stubGlobal('document', { visibilityState: 'visible' })
  vi.stubGlobal(
    'WebSocket',
    class extends EventTarget {
      constructor() {
        super()
        socket = this
      }
      close(): void {}
    },
  )
})
afterEach(() => vi.unstubAllGlobals())

/** Opens the presence of a console, and collects the events other than `presence`. */
async function shared() {
  const { SharedElement } = await import('../src/shared-element.ts')
  class Shared extends SharedElement {
    protected override presenceChanged(): void {}
    protected override linkFellSilent(): void {}
    open(): void {
      this.openPresence({ address: new URL('ws://h/?token=t'), pageKey: 'k', console: 'c' })
    }
    lose(): void {
      this.closePresence()
    }
  }
  const element = new Shared()
  const heard: [type: string, detail: unknown][] = []
  for (const type of ['viewers', 'latency'])
    element.addEventListener(type, (event) => heard.push([type, (event as CustomEvent).detail]))
  element.open()
  onTestFinished(() => element.lose())
  const receive = (change: object) => {
    const data = JSON.stringify({ ...STATE, ...change } satisfies Partial<PresenceState>)
    socket.dispatchEvent(Object.assign(new Event('message'), { data }))
  }
  return { element, heard, receive }
}

it('a shared console reports its viewers and the latency when they change, and then alone', async () => {
  const { element, heard, receive } = await shared()
  receive({})
  receive({ latency_ms: 7 })
  receive({ latency_ms: 7, control: { ...control, held_by: 'a' } })
  receive({ latency_ms: 9, participants: [SOMEBODY, OTHER] })
  expect(heard).toEqual([
    ['viewers', { viewers: [SOMEBODY], you: 'a' }],
    ['latency', { ms: 7 }],
    ['viewers', { viewers: [SOMEBODY, OTHER], you: 'a' }],
    ['latency', { ms: 9 }],
  ])
  expect(element.latencyMs).toBe(9)
  element.lose()
  expect(heard.slice(4)).toEqual([['viewers', { viewers: [], you: undefined }]])
  expect(element.latencyMs).toBeUndefined()
})

it('a shared console whose proxy sends no latency reports none', async () => {
  const { element, heard, receive } = await shared()
  receive({ latency_ms: undefined })
  expect(element.latencyMs).toBeUndefined()
  expect(heard.map(([type]) => type)).toEqual(['viewers'])
})
