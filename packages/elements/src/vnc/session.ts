/**
 * One noVNC connection to one console, from dialling to its end. It creates the WebSocket itself, so that it sees the
 * close event.
 */
import { type ConsoleEnd, carriesConsole, closedByPerson, describeEnd, localEnd, subprotocols } from '../console-end.ts'
import type { ConsoleSession, SessionEvents } from '../console-events.ts'
import { t } from '../language/texts/screens.ts'
import { loadPart } from '../load-part.ts'
import type { ConsoleAddress } from '../page-key.ts'
import { KeyboardLights } from './lights.ts'
import { OrielRfb } from './rfb.ts'
import type { KeySink, Typist } from './typist.ts'

/** How long dialling, the security handshake and the first picture may take together. */
export const openTimeoutMs = 20_000
/** The longest clipboard text that is accepted from a machine, in UTF-16 units. Longer text is cut. */
export const maxClipboardLength = 1_048_576

export interface VncSessionEvents extends SessionEvents {
  desktopName(name: string): void
  clipboard(text: string): void
  /** The machine's resolution is known, or has changed. */
  resize(width: number, height: number): void
  bell(): void
  /** @throws Error if another participant has control */
  requireControl(): void
}

/**
 * The part of noVNC's client that the element uses. An interface of its own, because the published types must not import
 * noVNC, which has none.
 */
export interface VncClient {
  viewOnly: boolean
  scaleViewport: boolean
  clipViewport: boolean
  dragViewport: boolean
  resizeSession: boolean
  showDotCursor: boolean
  qualityLevel: number
  compressionLevel: number
  readonly hasUnicodeClipboard: boolean
  focus(options?: FocusOptions): void
  blur(): void
  releaseKeys(): void
  clipboardPasteFrom(text: string): void
  toBlob(callback: (blob: Blob | null) => void, type?: string, quality?: number): void
  getImageData(): ImageData
}

export interface VncSession extends ConsoleSession {
  readonly rfb: VncClient
  /** Whether a text is being typed. Keys of the user would mix with it. */
  readonly isTyping: boolean
  /** Loads the code that types, once. */
  typist(): Promise<Typist>
}

/**
 * Dials `to.address` and draws the console into `target`.
 * @throws SyntaxError or SecurityError for an address that the browser refuses to dial
 */
export function openVncSession(target: HTMLElement, to: ConsoleAddress, events: VncSessionEvents): VncSession {
  const socket = new WebSocket(to.address, subprotocols(to))
  let opened = false
  let connectedAt: number | undefined
  let heardAt = 0
  let ended = false
  const lights = new KeyboardLights()
  const end = (how: ConsoleEnd) => {
    if (ended) return
    ended = true
    clearTimeout(deadline)
    lights.close(new Error(t('error.lost-while-typing')))
    events.end(how)
  }
  const hangUp = (how: ConsoleEnd) => {
    if (ended) return
    end(how)
    rfb.disconnect()
  }

  // Registered before noVNC adds its handlers: noVNC's `disconnect` event must find that `end` was called.
  socket.addEventListener('open', () => {
    opened = carriesConsole(socket)
  })
  socket.addEventListener('close', ({ code, reason, wasClean }) => end(describeEnd({ code, reason, wasClean, opened })))

  socket.addEventListener('message', () => {
    heardAt = performance.now()
  })

  const rfb = attach(target, socket)
  rfb.onResize = (width, height) => events.resize(width, height)
  rfb.addEventListener('bell', () => events.bell())
  rfb.onLights = (reported) => lights.report(reported)
  const deadline = setTimeout(() => hangUp(localEnd('no_answer')), openTimeoutMs)
  rfb.addEventListener('connect', () => {
    clearTimeout(deadline)
    connectedAt = performance.now()
    if (ended) return
    events.connect()
    // Load it after the first picture, and before an upgrade of the proxy may replace the file.
    loadTypist().catch(() => undefined)
  })
  rfb.addEventListener('desktopname', ({ detail }) => events.desktopName(detail.name))
  rfb.addEventListener('clipboard', ({ detail }) => events.clipboard(detail.text.slice(0, maxClipboardLength)))
  rfb.addEventListener('credentialsrequired', () => hangUp(localEnd('needs_password')))
  rfb.addEventListener('disconnect', () => end(localEnd('unsupported_data')))

  const keys: KeySink = {
    lights,
    get bufferedBytes() {
      return socket.bufferedAmount
    },
    sendKey(keysym, code, down) {
      if (ended) throw new Error(t('error.lost-while-typing'))
      events.requireControl()
      rfb.sendKey(keysym, code, down)
    },
    releaseKeys: () => rfb.releaseKeys(),
  }
  let typist: Typist | undefined
  const loadTypist = async () => {
    const { Typist } = await loadPart(() => import('./typist.ts'))
    typist ??= new Typist(keys)
    return typist
  }
  return {
    rfb,
    get isTyping() {
      return typist?.isTyping === true
    },
    typist: loadTypist,
    connectedMs: () => (connectedAt === undefined ? 0 : Math.max(1, performance.now() - connectedAt)),
    close: () => hangUp(closedByPerson()),
    silentMs: () => performance.now() - heardAt,
  }
}

function attach(target: HTMLElement, socket: WebSocket): OrielRfb {
  try {
    const rfb = new OrielRfb(target, socket, { shared: true })
    rfb.background = 'transparent'
    return rfb
  } catch (cause) {
    socket.close()
    throw cause
  }
}
