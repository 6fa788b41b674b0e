/**
 * One SPICE console, from dialling to its end, drawn by spice-html5. That library is under the LGPL, so it is no part of
 * any bundle: it is loaded at run time, unmodified, from files of its own that can be replaced.
 */
import type { ConsoleSession, SessionEvents } from '../console-element.ts'
import { type ConsoleEnd, carriesConsole, closedByPerson, describeEnd, localEnd, subprotocols } from '../console-end.ts'
import { sendWholeTickets } from './tickets.ts'

/** How long loading the library, dialling and the SPICE link may take together. */
export const openTimeoutMs = 20_000
const lookAgainAfterMs = 20

/** The part of spice-html5's `main.js` that is used: version 0.2.1. */
export interface SpiceLibrary {
  readonly SpiceMainConn: {
    new (options: {
      readonly uri: string
      /** The id of the element in the document that gets the screen. */
      readonly screen_id: string
      readonly password: string
      readonly onsuccess: () => void
      readonly onerror: (error: unknown) => void
    }): SpiceMain
    /** Inherits from what all channels inherit from. */
    readonly prototype: SpiceMain
  }
}

interface SpiceMain {
  /** Gone once it is stopped. */
  readonly ws?: WebSocket
  /** The channel of keyboard and mouse, once the machine named it. */
  readonly inputs?: { readonly state: string }
  stop(): void
}

/**
 * Dials `address`, once for each channel, and draws into `stage`, which has an id.
 * @param library loads spice-html5
 */
export function openSpiceSession(
  stage: HTMLElement,
  address: URL,
  library: () => Promise<SpiceLibrary>,
  events: SessionEvents,
): ConsoleSession {
  let main: SpiceMain | undefined
  let opened = false
  let connectedAt: number | undefined
  let ended = false
  let look: ReturnType<typeof setInterval> | undefined
  /** For a channel that the console can do without, such as sound. */
  let refusedChannel: ConsoleEnd | undefined
  const end = (how: ConsoleEnd) => {
    if (ended) return
    ended = true
    clearTimeout(deadline)
    clearInterval(look)
    restoreWebSocket()
    events.end(how)
    if (main) stop(main)
  }
  const deadline = setTimeout(() => end(refusedChannel ?? localEnd('no_answer')), openTimeoutMs)
  const restoreWebSocket = offerRefusals(address, (how) => {
    refusedChannel ??= how
  })

  library().then(start, () => end(localEnd('no_answer')))
  return {
    connectedMs: () => (connectedAt === undefined ? 0 : Math.max(1, performance.now() - connectedAt)),
    close: () => end(closedByPerson()),
  }

  /** Keys that are pressed earlier are lost, and the library does not tell when the channel for them stands. */
  function connectOnceTaken(): void {
    if (main?.inputs?.state !== 'ready') return
    clearInterval(look)
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
      uri: address.href,
      screen_id: stage.id,
      password: '',
      onsuccess: () => {
        if (!ended) look ??= setInterval(connectOnceTaken, lookAgainAfterMs)
      },
      onerror: (error) => {
        const how = endOf(error)
        if (how) end(how)
      },
    })
  }
}

/**
 * Makes every WebSocket to `address` offer refusals too: the unmodified library offers only its own subprotocol. Returns a
 * function that restores the original.
 * @param refused called for each channel that the proxy refuses
 */
function offerRefusals(address: URL, refused: (how: ConsoleEnd) => void): () => void {
  const Plain = globalThis.WebSocket
  globalThis.WebSocket = class extends Plain {
    constructor(url: string | URL, protocols?: string | string[]) {
      const isChannel = String(url) === address.href
      super(url, isChannel ? [...subprotocols] : protocols)
      if (!isChannel) return
      this.addEventListener('close', ({ code, reason, wasClean }) => {
        if (!carriesConsole(this)) refused(describeEnd({ code, reason, wasClean, opened: false }))
      })
    }
  }
  return () => {
    globalThis.WebSocket = Plain
  }
}

/** An end that only the library knows. The connection reports its own close with a better reason. */
function endOf(error: unknown): ConsoleEnd | undefined {
  const message = error instanceof Error ? error.message : ''
  if (message === 'Permission denied.') return localEnd('needs_password')
  return /^(Error: |Unexpected link error)/.test(message) ? localEnd('not_understood') : undefined
}

/** The library looks for its screen in the document, and stops halfway when that is no longer there. */
function stop(main: SpiceMain): void {
  const { ws } = main
  try {
    main.stop()
  } catch {
    ws?.close()
  }
}
