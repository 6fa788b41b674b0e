import { describe, expect, it, vi } from 'vitest'
import { type FrameWindow, serveFrame } from '../src/frame/serve.ts'
import type { OrielVnc } from '../src/oriel-vnc.ts'

const PORTAL = 'https://portal.example'

describe('serveFrame', () => {
  it('announces itself without a word about the console, and sends nothing else before a hello', () => {
    const { element, sent } = framed()
    element.dispatchEvent(new CustomEvent('connect'))
    expect(sent).toEqual([[{ oriel: 1, type: 'ready' }, '*']])
  })

  it('answers a hello with the state, and then sends events to that origin', () => {
    const { element, sent, hear } = framed()
    hear({ oriel: 1, type: 'hello' })
    const end = { code: 4008, text: 'An operator ended this session.', remedy: 'new-console' }
    const detail = { ...end, reason: 'ended', willRetry: false, clean: true, cause: () => undefined }
    element.dispatchEvent(new CustomEvent('disconnect', { detail }))
    expect(sent.slice(1)).toEqual([
      [{ oriel: 1, type: 'state', kind: 'vnc', state: 'connected' }, PORTAL],
      [{ oriel: 1, type: 'event', name: 'disconnect', detail: { ...end, reason: 'ended', willRetry: false } }, PORTAL],
    ])
  })

  it('sends who is there and the latency at once, with the members of the protocol alone', () => {
    const { element, sent, hear } = framed()
    const viewer = { id: 's1', label: null, role: 'control', since: '2026-03-01T09:30:00.000Z', has_control: true }
    element.participants = [{ ...viewer, secret: 'x' }]
    element.presence = { you: 's1' }
    element.latencyMs = 12
    hear({ oriel: 1, type: 'hello' })
    element.dispatchEvent(new CustomEvent('viewers', { detail: { viewers: [], you: undefined } }))
    expect(sent.slice(2).map(([message]) => message)).toEqual([
      { oriel: 1, type: 'event', name: 'viewers', detail: { viewers: [viewer], you: 's1' } },
      { oriel: 1, type: 'event', name: 'latency', detail: { ms: 12 } },
      { oriel: 1, type: 'event', name: 'viewers', detail: { viewers: [] } },
    ])
  })

  it('calls the element, and sends the result or the error with the id of the call', async () => {
    const { element, sent, hear } = framed()
    hear({ oriel: 1, type: 'hello' })
    hear({ oriel: 1, type: 'call', id: 1, method: 'sendKeys', args: ['Ctrl+Alt+F2'] })
    hear({ oriel: 1, type: 'call', id: 2, method: 'typeText', args: ['ä', { layout: 'us' }] })
    hear({ oriel: 1, type: 'call', id: 3, method: 'text' })
    hear({ oriel: 1, type: 'call', id: 4, method: 'sendKeys', args: [7] })
    hear({ oriel: 1, type: 'call', id: 5, method: 'toString' })
    await vi.waitFor(() => expect(sent).toHaveLength(7))
    expect(element.sendKeys.mock.calls).toEqual([['Ctrl+Alt+F2']])
    expect(element.typeText.mock.calls).toEqual([['ä', { layout: 'us', untypable: 'skip' }]])
    const answers = sent.slice(2).map(([message]) => message as { id: number })
    expect(answers.sort((a, b) => a.id - b.id)).toEqual([
      { oriel: 1, type: 'result', id: 1, value: undefined },
      { oriel: 1, type: 'result', id: 2, value: { skipped: ['ä'] } },
      { oriel: 1, type: 'result', id: 3, value: 'login:' },
      { oriel: 1, type: 'error', id: 4, text: 'An argument is not a text.' },
      { oriel: 1, type: 'error', id: 5, text: 'There is no such method.' },
    ])
  })

  it.each([
    ['another window', { oriel: 1, type: 'call', id: 1, method: 'sendKeys', args: ['a'] }, { source: {} }],
    [
      'another origin than the hello',
      { oriel: 1, type: 'call', id: 1, method: 'sendKeys', args: ['a'] },
      { origin: 'https://x.example' },
    ],
    ['another version', { oriel: 2, type: 'call', id: 1, method: 'sendKeys', args: ['a'] }, {}],
    ['another protocol', 'oriel', {}],
    ['nothing', null, {}],
    ['an unknown type', { oriel: 1, type: 'hullo' }, {}],
  ])('ignores a message of %s', async (_, data, from) => {
    const { element, sent, hear } = framed()
    hear({ oriel: 1, type: 'hello' })
    hear(data, from)
    await new Promise((resolve) => setImmediate(resolve))
    expect(element.sendKeys).not.toHaveBeenCalled()
    expect(sent).toHaveLength(2)
  })

  it('ignores a parent without an origin, to which no browser sends by its origin', () => {
    const { element, sent, hear } = framed()
    hear({ oriel: 1, type: 'hello' }, { origin: 'null' })
    element.dispatchEvent(new CustomEvent('connect'))
    expect(sent).toHaveLength(1)
  })

  it('ignores a call before a hello', async () => {
    const { element, hear } = framed()
    hear({ oriel: 1, type: 'call', id: 1, method: 'sendKeys', args: ['a'] })
    await new Promise((resolve) => setImmediate(resolve))
    expect(element.sendKeys).not.toHaveBeenCalled()
  })
})

/** A page in a frame of the portal, whose console is connected. */
function framed() {
  const sent: [message: unknown, target: string][] = []
  const parent = { postMessage: (message: unknown, target: string) => void sent.push([message, target]) }
  let listener: (event: MessageEvent<unknown>) => void = () => undefined
  const window: FrameWindow = { parent, addEventListener: (_, heard) => (listener = heard) }
  const element = Object.assign(new EventTarget(), {
    localName: 'oriel-vnc',
    state: 'connected',
    participants: [] as object[],
    presence: undefined as object | undefined,
    latencyMs: undefined as number | undefined,
    sendKeys: vi.fn(async () => undefined),
    typeText: vi.fn(async () => ({ skipped: ['ä'] })),
    text: async () => 'login:',
  })
  serveFrame(element as unknown as OrielVnc, window)
  const hear = (data: unknown, from: object = {}) =>
    listener({ data, source: parent, origin: PORTAL, ...from } as MessageEvent<unknown>)
  return { element, sent, hear }
}
