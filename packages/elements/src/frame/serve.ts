/**
 * Lets the page around a frame follow and drive the console in it, by messages: `docs/embedding.md` has the protocol.
 *
 * The browser shows the page in a frame only if `frame-ancestors` of its Content-Security-Policy has every page around it, which
 * are those of this host and of `origin.allowed`. So the parent may be trusted, and only the parent is.
 */

import { pictureOf, type Shown, textOf, typeInto } from '../console/shown.ts'
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/elements.ts'

/** The version of the protocol: the member `oriel` of each message. */
export const PROTOCOL = 1

/** The part of a window that the protocol needs. */
export interface FrameWindow {
  readonly parent: { postMessage(message: unknown, target: string): void }
  addEventListener(type: 'message', listener: (event: MessageEvent<unknown>) => void): void
}

type Method = (shown: Shown, args: readonly unknown[]) => unknown

/** Events of the element that the parent gets, with the members of their details. Of a list, those of its entries. */
const events: Readonly<Record<string, readonly Member[]>> = {
  statechange: ['state', 'reason', 'text', 'remedy', 'willRetry'],
  connect: [],
  disconnect: ['reason', 'text', 'remedy', 'willRetry', 'code'],
  clipboard: ['text'],
  resize: ['width', 'height'],
  sizechange: ['columns', 'rows'],
  viewers: ['you', ['viewers', ['id', 'label', 'role', 'since', 'has_control']]],
  latency: ['ms'],
  bell: [],
  release: [],
}

type Member = string | readonly [list: string, members: readonly Member[]]

const methods: Readonly<Record<string, Method>> = {
  sendKeys: ({ element }, keys) => element.sendKeys(...keys.map(textArgument)),
  typeText: async (shown, [text, options]) => ({
    skipped: await typeInto(shown, textArgument(text), { layout: layoutOf(options) }),
  }),
  screenshot: (shown, [type = 'image/png']) => pictureOf(requireConnected(shown), textArgument(type)),
  text: (shown) => textOf(requireConnected(shown)),
  focus: ({ element }) => element.focus(),
  disconnect: ({ element }) => element.disconnect(),
  reconnectNow: ({ element }) => element.reconnectNow(),
  takeOver: ({ element }) => element.takeOver(),
}

/**
 * Announces the page to its parent, and answers it from its first `hello` on. Ignores messages of other windows, and those that
 * are not of the protocol.
 */
export function serveFrame(element: ConsoleElement<ConsoleSession>, window: FrameWindow): void {
  const shown = { kind: element.localName.slice('oriel-'.length), element } as unknown as Shown
  const { parent } = window
  let origin: string | undefined
  const send = (message: object) => {
    if (origin !== undefined) parent.postMessage({ oriel: PROTOCOL, ...message }, origin)
  }
  const sendEvent = (name: string, detail: unknown) =>
    send({ type: 'event', name, detail: pick(detail, events[name] ?? []) })
  window.addEventListener('message', (event) => {
    // A page without an origin of its own, such as one in a sandbox, cannot be answered alone.
    if (event.source !== parent || event.origin === 'null' || !isMessage(event.data)) return
    if (event.data.type === 'hello') {
      origin = event.origin
      send({ type: 'state', kind: shown.kind, state: shown.element.state, ...lastEnd(shown) })
      for (const [name, detail] of known(shown)) sendEvent(name, detail)
    } else if (event.data.type === 'call' && event.origin === origin) void answer(shown, event.data, send)
  })
  for (const name of Object.keys(events)) {
    const target: EventTarget = element
    target.addEventListener(name, ({ detail }: CustomEventInit) => sendEvent(name, detail))
  }
  // Says nothing about the console, because the parent's origin is not known yet.
  parent.postMessage({ oriel: PROTOCOL, type: 'ready' }, '*')
}

interface Message {
  readonly oriel: typeof PROTOCOL
  readonly type: unknown
  readonly id?: unknown
  readonly method?: unknown
  readonly args?: unknown
}

const isMessage = (data: unknown): data is Message =>
  typeof data === 'object' && data !== null && (data as Partial<Message>).oriel === PROTOCOL

async function answer(shown: Shown, { id, method, args = [] }: Message, send: (message: object) => void) {
  try {
    if (typeof method !== 'string' || !Object.hasOwn(methods, method)) throw new TypeError('There is no such method.')
    if (!Array.isArray(args)) throw new TypeError('`args` is not an array.')
    send({ type: 'result', id, value: await methods[method]!(shown, args) })
  } catch (error) {
    send({ type: 'error', id, text: error instanceof Error ? error.message : String(error) })
  }
}

function textArgument(argument: unknown): string {
  if (typeof argument !== 'string') throw new TypeError('An argument is not a text.')
  return argument
}

function layoutOf(options: unknown): string {
  const layout = (options as { layout?: unknown } | null | undefined)?.layout ?? 'us'
  return textArgument(layout)
}

function requireConnected(shown: Shown): Shown {
  if (shown.element.state !== 'connected') throw new Error(t('error.not-connected'))
  return shown
}

function lastEnd({ element }: Shown): object {
  const { state, lastEnd: end } = element
  if (end === undefined || (state !== 'waiting' && state !== 'ended')) return {}
  return pick(end, ['reason', 'text', 'remedy', 'willRetry'])
}

/** Returns the events that a parent has missed which says hello late: those that repeat only at a change. */
function known({ element }: Shown): [name: string, detail: object][] {
  const { participants: viewers, presence, latencyMs: ms } = element
  return [
    ...(viewers.length > 0 ? [['viewers', { viewers, you: presence?.you }] satisfies [string, object]] : []),
    ...(ms === undefined ? [] : [['latency', { ms }] satisfies [string, object]]),
  ]
}

/** Copies the members that the protocol has: a detail may have others, which cannot be copied to another page. */
function pick(detail: unknown, members: readonly Member[]): object {
  const all = (detail ?? {}) as Readonly<Record<string, unknown>>
  const copied = members.flatMap((member): [string, unknown][] => {
    const [name, inner] = typeof member === 'string' ? [member] : member
    const value = all[name]
    if (value === undefined) return []
    return [[name, inner === undefined || !Array.isArray(value) ? value : value.map((entry) => pick(entry, inner))]]
  })
  return Object.fromEntries(copied)
}
