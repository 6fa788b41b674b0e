import { type PresenceState, refusalClose } from '@oriel/contract'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { answerTimeoutMs, invitedBy } from '../src/presence/invitations.ts'
import {
  firstPauseMs,
  maxAttempts,
  maxMisses,
  missPauseMs,
  openTimeoutMs,
  PresenceLink,
  presenceAddress,
  probeIntervalMs,
  probeTimeoutMs,
} from '../src/presence/link.ts'

const KEY = 'AAAAAAAAAAAAAAAAAAAAAA'
const STATE = { type: 'state', you: 'me', participants: [], control: { requested_by: [] } }

class FakeSocket extends EventTarget {
  static readonly OPEN = 1
  static readonly all: FakeSocket[] = []
  readonly sent: string[] = []
  readyState = 1
  readonly url: string
  readonly protocols: string[]

  constructor(url: URL, protocols: string[]) {
    super()
    this.url = url.href
    this.protocols = protocols
    FakeSocket.all.push(this)
  }

  send(text: string): void {
    this.sent.push(text)
  }

  close(): void {
    this.readyState = 3
  }

  receive(message: unknown): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(message) }))
  }

  lose(code = 1006, reason = ''): void {
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }))
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', FakeSocket)
  vi.stubGlobal('document', { visibilityState: 'visible' })
  FakeSocket.all.length = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function link() {
  const states: (PresenceState | undefined)[] = []
  const refused: string[] = []
  let silences = 0
  const events = {
    state: (state?: PresenceState) => void states.push(state),
    refused: (text: string) => void refused.push(text),
    silent: () => {
      silences += 1
    },
  }
  return {
    link: new PresenceLink({ address: new URL('ws://h/novnc/?token=t'), pageKey: KEY }, events),
    states,
    refused,
    silences: () => silences,
  }
}
const newest = () => FakeSocket.all.at(-1)!

it.each([
  ['ws://h:6080/?token=t', 'ws://h:6080/oriel.session'],
  ['wss://h/novnc/?token=t&replay=0', 'wss://h/novnc/oriel.session'],
  ['wss://h/a/websockify?token=t', 'wss://h/a/oriel.session'],
  ['wss://h/serial/?server=s&token=t', 'wss://h/serial/oriel.session?server=s'],
])('the presence of the console at %s is at %s, for the same server, without its token', (console, presence) => {
  expect(presenceAddress(new URL(console)).href).toBe(presence)
})

describe('the presence of a console', () => {
  it('offers the page key, and sends requests while it is open', () => {
    const { link: presence } = link()
    expect(newest().protocols).toEqual(['oriel.presence', 'oriel.refusals', `oriel.page.${KEY}`])
    presence.send({ type: 'take_control' })
    newest().readyState = 0
    presence.send({ type: 'release_control' })
    expect(newest().sent).toEqual(['{"type":"take_control"}'])
  })

  it('passes states and refusals on, and ignores other messages', () => {
    const { states, refused } = link()
    for (const message of [null, 7, { type: 'state' }, { type: 'state', participants: [], control: {} }, { type: 'x' }])
      newest().receive(message)
    newest().receive(STATE)
    newest().receive({ type: 'refused', text: 'No.' })
    expect(states).toEqual([STATE])
    expect(refused).toEqual(['No.'])
  })

  it('is given up if it does not open, as at an older proxy', () => {
    const { states } = link()
    newest().lose()
    vi.advanceTimersByTime(60_000)
    expect(states).toEqual([undefined])
    expect(FakeSocket.all).toHaveLength(1)
  })

  it('is dialled again when it reached another proxy than the console, up to a limit', () => {
    const { code, reason } = refusalClose('unknown_token')
    const { states } = link()
    for (let i = 1; i < maxMisses; i += 1) {
      newest().lose(code, reason)
      vi.advanceTimersByTime(missPauseMs)
      expect(FakeSocket.all).toHaveLength(i + 1)
    }
    expect(states).toEqual([])
    newest().lose(code, reason)
    expect(states).toEqual([undefined])
    vi.advanceTimersByTime(60_000)
    expect(FakeSocket.all).toHaveLength(maxMisses)
  })

  it('is given up if the proxy refuses the page', () => {
    const { code, reason } = refusalClose('foreign_origin')
    const { states } = link()
    newest().lose(code, reason)
    expect(states).toEqual([undefined])
  })

  it('is given up if no state arrives in time', () => {
    const { states } = link()
    vi.advanceTimersByTime(openTimeoutMs)
    expect(states).toEqual([undefined])
    newest().receive(STATE)
    expect(states).toEqual([undefined])
  })

  it('is dialled again when it is lost, with growing pauses and a limit', () => {
    const { states } = link()
    newest().receive(STATE)
    for (let i = 0; i < maxAttempts; i += 1) {
      newest().lose()
      vi.advanceTimersByTime(firstPauseMs * 2 ** i - 1)
      expect(FakeSocket.all).toHaveLength(i + 1)
      vi.advanceTimersByTime(1)
      expect(FakeSocket.all).toHaveLength(i + 2)
    }
    expect(states).toEqual([STATE])
    newest().lose()
    expect(states).toEqual([STATE, undefined])
  })

  it('is not dialled again when another WebSocket of the page has replaced it', () => {
    const { states } = link()
    newest().receive(STATE)
    newest().lose(4010)
    expect(states).toEqual([STATE, undefined])
    vi.advanceTimersByTime(60_000)
    expect(FakeSocket.all).toHaveLength(1)
  })

  it('reports nothing once it is closed', () => {
    const { link: presence, states } = link()
    presence.close()
    newest().receive(STATE)
    newest().lose()
    vi.advanceTimersByTime(60_000)
    expect(states).toEqual([])
    expect(FakeSocket.all).toHaveLength(1)
  })
})

describe('the probes of a page', () => {
  const pings = () => newest().sent.filter((text) => text === '{"type":"ping"}').length

  it('are sent at intervals while the page is seen', () => {
    link()
    newest().receive(STATE)
    vi.advanceTimersByTime(probeIntervalMs)
    newest().receive({ type: 'pong' })
    vi.advanceTimersByTime(probeIntervalMs)
    expect(pings()).toBe(2)
    newest().receive({ type: 'pong' })
    vi.stubGlobal('document', { visibilityState: 'hidden' })
    vi.advanceTimersByTime(10 * probeIntervalMs)
    expect(pings()).toBe(2)
  })

  it.each([
    { type: 'pong' },
    STATE,
    { type: 'refused', request: 'ping', text: 'This proxy does not know this request.' },
  ])('are answered by %j', (answer) => {
    const { link: made, refused, silences } = link()
    newest().receive(STATE)
    made.probe()
    newest().receive(answer)
    vi.advanceTimersByTime(probeTimeoutMs)
    expect(silences()).toBe(0)
    expect(refused).toEqual([])
    made.close()
  })

  it('report silence once the answer is late', () => {
    const { link: made, silences } = link()
    newest().receive(STATE)
    made.probe()
    vi.advanceTimersByTime(probeTimeoutMs - 1)
    expect(silences()).toBe(0)
    vi.advanceTimersByTime(1)
    expect(silences()).toBe(1)
    made.close()
  })

  it('begin anew after a sleep of the computer, in which no answer could arrive', () => {
    const { link: made, silences } = link()
    newest().receive(STATE)
    made.probe()
    const afterSleep = performance.now() + 3_600_000
    const clock = vi.spyOn(performance, 'now').mockReturnValue(afterSleep)
    vi.advanceTimersByTime(probeTimeoutMs)
    clock.mockRestore()
    expect(silences()).toBe(0)
    expect(pings()).toBe(2)
    made.close()
  })

  it('are not sent before the first state, nor after the end', () => {
    const { link: made } = link()
    made.probe()
    newest().receive(STATE)
    made.close()
    vi.advanceTimersByTime(2 * probeIntervalMs)
    made.probe()
    expect(pings()).toBe(0)
  })
})

describe('a request about invitations', () => {
  const INVITE = { type: 'invite', role: 'watch' } as const
  const errorOf = (asked: Promise<unknown>) =>
    asked.then(
      () => undefined,
      (error: Error) => error.message,
    )
  const sent = () => newest().sent.map((text) => JSON.parse(text) as { ref: string })

  it('gets the answer with its own ref, in any order', async () => {
    const it = link()
    const [one, other] = [it.link.ask(INVITE), it.link.ask({ type: 'revoke_invitation', id: 'i1' })]
    await vi.dynamicImportSettled()
    const [first, second] = sent()
    expect(first).toEqual({ ...INVITE, ref: expect.any(String) })
    newest().receive({ type: 'invitation_revoked', ref: second!.ref, id: 'i1' })
    newest().receive({ type: 'invited', ref: first!.ref, url: 'https://h/?token=t' })
    expect(await other).toMatchObject({ type: 'invitation_revoked' })
    expect(await one).toMatchObject({ url: 'https://h/?token=t' })
  })

  it('fails with the sentence of its refusal, which no event repeats', async () => {
    const it = link()
    const error = errorOf(it.link.ask(INVITE))
    await vi.dynamicImportSettled()
    newest().receive({ type: 'refused', request: 'invite', ref: sent()[0]!.ref, text: 'Too many\ninvitations.' })
    expect(await error).toBe('Too many invitations.')
    expect(it.refused).toEqual([])
    newest().receive({ type: 'refused', request: 'take_control', text: 'No.' })
    expect(it.refused).toEqual(['No.'])
  })

  it('fails without a connection, when the connection is lost, and without an answer in time', async () => {
    const it = link()
    newest().receive(STATE)
    const late = errorOf(it.link.ask(INVITE))
    await vi.dynamicImportSettled()
    vi.advanceTimersByTime(answerTimeoutMs)
    expect(await late).toMatch(/did not answer/)
    const again = link()
    const lost = errorOf(again.link.ask(INVITE))
    await vi.dynamicImportSettled()
    newest().readyState = 3
    newest().lose()
    expect(await lost).toMatch(/was lost/)
    expect(await errorOf(again.link.ask(INVITE))).toMatch(/not connected/)
    const closed = link()
    const dropped = errorOf(closed.link.ask(INVITE))
    await vi.dynamicImportSettled()
    closed.link.close()
    expect(await dropped).toMatch(/was lost/)
  })

  it.each([
    [{}],
    [{ url: 'javascript:alert(1)' }],
    [{ url: 'ws://h/' }],
    [{ invitation: { id: 'i1', expires_at: 'x' } }],
    [{ invitation: null }],
  ])('is refused an answer without a link of the web: %j', (change) => {
    const answer = { url: 'https://h/', invitation: { id: 'i1', expires_at: '2026-03-01T09:30:00.000Z' } }
    expect(invitedBy(answer as never)).toMatchObject({ id: 'i1', url: 'https://h/' })
    expect(() => invitedBy((Object.keys(change).length === 0 ? {} : { ...answer, ...change }) as never)).toThrow(
      'no link',
    )
  })

  it('has no effect on a state whose invitations are no list', () => {
    const it = link()
    newest().receive({ ...STATE, invitations: { list: 7 } })
    expect(it.states).toEqual([])
    newest().receive({ ...STATE, invitations: { list: [] } })
    expect(it.states).toHaveLength(1)
  })
})
