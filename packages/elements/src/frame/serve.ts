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

/** Events of the element that the parent gets, with the members of their details. */
const events: Readonly<Record<string, readonly string[]>> = {
  statechange: ['state', 'reason', 'text', 'remedy', 'willRetry'],
  connect: [],
  disconnect: ['reason', 'text', 'remedy', 'willRetry', 'code'],
  clipboard: ['text'],
  resize: ['width', 'height'],
  sizechange: ['columns', 'rows'],
  bell: [],
  release: [],
}

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
  window.addEventListener('message', (event) => {
    // A page without an origin of its own, such as one in a sandbox, cannot be answered alone.
    if (event.source !== parent || event.origin === 'null' || !isMessage(event.data)) return
    if (event.data.type === 'hello') {
      origin = event.origin
      send({ type: 'state', kind: shown.kind, state: shown.element.state, ...lastEnd(shown) })
    } else if (event.data.type === 'call' && event.origin === origin) void answer(shown, event.data, send)
  })
  for (const [name, members] of Object.entries(events)) {
    const target: EventTarget = element
    target.addEventListener(name, ({ detail }: CustomEventInit) =>
      send({ type: 'event', name, detail: pick(detail, members) }),
    )
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

/** Copies the members that the protocol has: a detail may have others, which cannot be copied to another page. */
function pick(detail: unknown, members: readonly string[]): object {
  const known = Object.entries(detail ?? {}).filter(([name]) => members.includes(name))
  return Object.fromEntries(known)
}
