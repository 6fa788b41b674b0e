/**
 * One SPICE console, from dialling to its end, drawn by spice-html5. That library is under the LGPL, so it is not
 * bundled: the page loads it at run time, unmodified, from separate files that an operator can replace.
 */

import { type ConsoleEnd, carriesConsole, closedByPerson, describeEnd, localEnd, subprotocols } from '../console-end.ts'
import type { ConsoleSession, SessionEvents } from '../console-events.ts'
import type { ConsoleAddress } from '../page-key.ts'
import { type ChannelMessage, keyMessage } from './scancodes.ts'
import { sendWholeTickets } from './tickets.ts'

/** How long loading the library, dialling and the SPICE link may take together. */
export const openTimeoutMs = 20_000
const pollEveryMs = 20

/** The exports of spice-html5 0.2.1's `main.js` that this module uses. */
export interface SpiceLibrary {
  readonly SpiceMainConn: {
    new (options: {
      readonly uri: string
      /** The id of the element into which the library puts the screen. */
      readonly screen_id: string
      readonly password: string
      readonly onsuccess: () => void
      readonly onerror: (error: unknown) => void
    }): SpiceMain
    /** Its prototype is the base of all channels. */
    readonly prototype: SpiceMain
  }
}

interface SpiceMain {
  /** Absent after `stop`. */
  readonly ws?: WebSocket
  /** The channel for keyboard and mouse, present once the machine has announced it. */
  readonly inputs?: { readonly state: string; send_msg(message: ChannelMessage): void }
  stop(): void
}

export interface SpiceSession extends ConsoleSession {
  /** Presses or releases a key, by a `KeyboardEvent.code` that has a scancode. Does nothing unless connected. */
  sendKey(code: string, down: boolean): void
}

/**
 * Dials `to.address` once for each channel, and draws into `stage`, which must have an id.
 * @param library loads spice-html5
 */
export function openSpiceSession(
  stage: HTMLElement,
  to: ConsoleAddress,
  library: () => Promise<SpiceLibrary>,
  events: SessionEvents,
): SpiceSession {
  let main: SpiceMain | undefined
  let opened = false
  let connectedAt: number | undefined
  let heardAt = 0
  let ended = false
  let poll: ReturnType<typeof setInterval> | undefined
  /** The first refusal of a channel. The console works without some channels, such as sound. */
  let refusedChannel: ConsoleEnd | undefined
  const end = (how: ConsoleEnd) => {
    if (ended) return
    ended = true
    clearTimeout(deadline)
    clearInterval(poll)
    restoreWebSocket()
    events.end(how)
    if (main) stop(main)
  }
  const deadline = setTimeout(() => end(refusedChannel ?? localEnd('no_answer')), openTimeoutMs)
  const restoreWebSocket = offerAll(to, {
    refused: (how) => {
      refusedChannel ??= how
    },
    heard: () => {
      heardAt = performance.now()
    },
  })

  library().then(start, () => end(localEnd('not_loaded')))
  return {
    connectedMs: () => (connectedAt === undefined ? 0 : Math.max(1, performance.now() - connectedAt)),
    close: () => end(closedByPerson()),
    silentMs: () => performance.now() - heardAt,
    sendKey: (code, down) => {
      if (main?.inputs?.state === 'ready') main.inputs.send_msg(keyMessage(code, down))
    },
  }

  /** Called by polling: before this channel is ready keys are lost, and the library has no event for it. */
  function connectOnceTaken(): void {
    if (main?.inputs?.state !== 'ready') return
    clearInterval(poll)
    clearTimeout(deadline)
    connectedAt = performance.now()
    events.connect()
  }

  function start({ SpiceMainConn }: SpiceLibrary): void {
    if (ended) return
    sendWholeTickets(Object.getPrototypeOf(SpiceMainConn.prototype))
    main = dial(SpiceMainConn)
    main.ws?.addEventListener('open', ({ target }) => {
      opened = carriesConsole(target as WebSocket)
    })
    main.ws?.addEventListener('close', ({ code, reason, wasClean }) =>
      end(describeEnd({ code, reason, wasClean, opened })),
    )
  }

  function dial(SpiceMainConn: SpiceLibrary['SpiceMainConn']): SpiceMain {
    return new SpiceMainConn({
      uri: to.address.href,
      screen_id: stage.id,
      password: '',
      onsuccess: () => {
        if (!ended) poll ??= setInterval(connectOnceTaken, pollEveryMs)
      },
      onerror: (error) => {
        const how = endOf(error)
        if (how) end(how)
      },
    })
  }
}

interface ChannelEvents {
  /** The proxy refused a channel. */
  refused(how: ConsoleEnd): void
  /** A channel got a message. */
  heard(): void
}

/**
 * Makes every WebSocket to `to.address` offer all {@link subprotocols}: the unmodified library offers only its own.
 * Returns a function that restores the original `WebSocket`.
 */
function offerAll(to: ConsoleAddress, { refused, heard }: ChannelEvents): () => void {
  const Plain = globalThis.WebSocket
  globalThis.WebSocket = class extends Plain {
    constructor(url: string | URL, protocols?: string | string[]) {
      const isChannel = String(url) === to.address.href
      super(url, isChannel ? subprotocols(to) : protocols)
      if (!isChannel) return
      this.addEventListener('message', heard)
      this.addEventListener('close', ({ code, reason, wasClean }) => {
        if (!carriesConsole(this)) refused(describeEnd({ code, reason, wasClean, opened: false }))
      })
    }
  }
  return () => {
    globalThis.WebSocket = Plain
  }
}

/**
 * Returns the end for an error that only the library detects. For others, the WebSocket's close event has the reason.
 */
function endOf(error: unknown): ConsoleEnd | undefined {
  const message = error instanceof Error ? error.message : ''
  if (message === 'Permission denied.') return localEnd('needs_password')
  return /^(Error: |Unexpected link error)/.test(message) ? localEnd('unsupported_data') : undefined
}

/**
 * Stops the library. It throws halfway when its screen is no longer in the document; then this closes its WebSocket.
 */
function stop(main: SpiceMain): void {
  const { ws } = main
  try {
    main.stop()
  } catch {
    ws?.close()
  }
}
