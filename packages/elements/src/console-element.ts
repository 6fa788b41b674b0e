/** What all console elements do alike: when they dial, what they say while they do, and when they dial again. */
import { pathAddress, socketAddress } from './address.ts'
import { type ConsoleEnd, finalWords, localEnd, waitingWords } from './console-end.ts'
import { createOverlay, type Overlay } from './overlay.ts'
import { ReconnectPlan } from './reconnect-plan.ts'

/** `idle` has nothing to dial, `waiting` is a pause before dialling again, `ended` waits for a person. */
export type ConsoleState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'ended'

/** The events of every console element. None of them bubbles. */
export interface ConsoleEventMap {
  statechange: CustomEvent<{ state: ConsoleState }>
  connect: CustomEvent<null>
  disconnect: CustomEvent<ConsoleEnd>
  /** The person pressed Ctrl+Alt+Shift to leave the console; no element has the focus then, unless a listener moves it. */
  release: CustomEvent<null>
}

/** When the element says that it is still waiting: the proxy may be waiting for a slow cloud. */
const slowAfterMs = 4_000

/** One connection to one console, from dialling to its end. */
export interface ConsoleSession {
  /** Milliseconds since the console stood; 0 if it never did. */
  connectedMs(): number
  /** Ends the session as the person's wish. */
  close(): void
}

/** What a session tells. */
export interface SessionEvents {
  connect(): void
  /** The last event, and exactly one. */
  end(end: ConsoleEnd): void
}

/**
 * A console in a page. It dials when it is in a document and has an address, and again whenever the address changes.
 * Subclasses say how a session is opened and where it is shown.
 */
export abstract class ConsoleElement<S extends ConsoleSession> extends HTMLElement {
  static readonly observedAttributes: readonly string[] = ['url', 'path']

  protected readonly root: ShadowRoot
  readonly #overlay: Overlay
  #plan = new ReconnectPlan()
  #state: ConsoleState = 'idle'
  #session: S | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #slow: ReturnType<typeof setTimeout> | undefined
  #dialling = false
  #lastEnd: ConsoleEnd | undefined

  constructor() {
    super()
    this.root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    this.root.append(document.createElement('slot'))
    this.#overlay = createOverlay(this.root, () => this.reconnectNow())
  }

  get url(): string {
    return this.getAttribute('url') ?? ''
  }
  set url(url: string) {
    this.setAttribute('url', url)
  }
  get path(): string {
    return this.getAttribute('path') ?? ''
  }
  set path(path: string) {
    this.setAttribute('path', path)
  }
  get viewOnly(): boolean {
    return this.hasAttribute('view-only')
  }
  set viewOnly(on: boolean) {
    this.toggleAttribute('view-only', on)
  }
  get reconnect(): boolean {
    return this.hasAttribute('reconnect')
  }
  set reconnect(on: boolean) {
    this.toggleAttribute('reconnect', on)
  }

  get state(): ConsoleState {
    return this.#state
  }
  /** Why the console ended last, if it did. */
  get lastEnd(): ConsoleEnd | undefined {
    return this.#lastEnd
  }

  connectedCallback(): void {
    this.addEventListener('keydown', this.#leaveOnChord, { capture: true })
    window.addEventListener('online', this.#retryAtOnce)
    this.#dialSoon()
  }

  disconnectedCallback(): void {
    this.removeEventListener('keydown', this.#leaveOnChord, { capture: true })
    window.removeEventListener('online', this.#retryAtOnce)
    this.#drop()
    this.#become('idle')
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return
    if (name === 'url' || name === 'path') this.#dialSoon()
    else this.applySettings()
  }

  /** Dials now, in place of a connection or a pause that there may be. */
  reconnectNow(): void {
    this.#plan = new ReconnectPlan()
    this.#dial()
  }

  /** Closes the console and does not dial again by itself. */
  disconnect(): void {
    clearTimeout(this.#retry)
    if (this.#session !== undefined) this.#session.close()
    else if (this.#state === 'waiting' && this.#lastEnd !== undefined) this.#rest(this.#lastEnd)
  }

  /** The session that is dialling or connected. */
  protected get session(): S | undefined {
    return this.#session
  }

  /**
   * Dials `address`.
   * @throws SyntaxError or SecurityError for an address that the browser refuses to dial
   */
  protected abstract openSession(address: URL, events: SessionEvents): S

  /** Takes the keyboard away from the console. */
  protected abstract leave(): void

  /** Called when the session was opened, and whenever an observed attribute changes that is no address. */
  protected applySettings(): void {}

  /** What was last seen, to be kept under the overlay while the element waits. */
  protected still(): HTMLCanvasElement | undefined {
    return undefined
  }

  protected emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }

  // Two attributes that are set together make one attempt.
  #dialSoon(): void {
    if (this.#dialling || !this.isConnected) return
    this.#dialling = true
    queueMicrotask(() => {
      this.#dialling = false
      if (this.isConnected) this.reconnectNow()
    })
  }

  #dial(): void {
    this.#drop()
    const address = this.#address()
    if (this.url === '' && this.path === '') this.#become('idle')
    else if (address === undefined) this.#ended(localEnd('bad_address'), 0)
    else this.#open(address)
  }

  #address(): URL | undefined {
    return this.url === '' ? pathAddress(this.path, document.baseURI) : socketAddress(this.url, document.baseURI)
  }

  #open(address: URL): void {
    this.#become('connecting')
    const text = this.#plan.wasConnected ? 'Reconnecting…' : 'Opening the console…'
    this.#overlay.show({ tone: 'busy', text })
    this.#slow = setTimeout(() => {
      this.#overlay.show({ tone: 'busy', text, advice: 'This takes longer than usual. Still waiting for an answer…' })
    }, slowAfterMs)
    try {
      const session: S = this.openSession(address, {
        connect: () => this.#connected(),
        end: (end) => {
          if (this.#session !== session) return
          this.#session = undefined
          this.#ended(end, session.connectedMs())
        },
      })
      this.#session = session
      this.applySettings()
    } catch {
      this.#ended(localEnd('bad_address'), 0)
    }
  }

  #connected(): void {
    clearTimeout(this.#slow)
    this.#overlay.hide()
    this.#overlay.showStill(undefined)
    this.#become('connected')
    this.emit('connect', null)
  }

  #ended(end: ConsoleEnd, connectedMs: number): void {
    clearTimeout(this.#slow)
    this.#lastEnd = end
    const pauseMs = this.reconnect ? this.#plan.next({ end, connectedMs }) : undefined
    if (pauseMs === undefined) this.#rest(end)
    else this.#wait(end, pauseMs)
    this.emit('disconnect', end)
  }

  #rest(end: ConsoleEnd): void {
    this.#overlay.showStill(undefined)
    this.#overlay.show({
      tone: 'ended',
      ...finalWords(end),
      action: end.remedy === 'new-console' || end.refusal !== undefined ? 'Try again' : 'Reconnect',
    })
    this.#become('ended')
  }

  #wait(end: ConsoleEnd, pauseMs: number): void {
    const words = waitingWords(end, this.#plan.wasConnected)
    const text = end.remedy === 'reconnect' ? words.text : 'The console does not answer yet.'
    // The screen still stands, but is about to be taken away.
    if (this.#state === 'connected') this.#overlay.showStill(this.still())
    const action = this.#plan.wasConnected ? 'Reconnect now' : 'Try now'
    this.#overlay.show({ tone: 'waiting', ...words, text, action })
    this.#become('waiting')
    this.#retry = setTimeout(() => this.#dial(), pauseMs)
  }

  readonly #retryAtOnce = () => {
    if (this.#state === 'waiting') this.#dial()
  }

  // Leaves quietly whatever there is: the session's end is no longer ours to tell.
  #drop(): void {
    clearTimeout(this.#retry)
    clearTimeout(this.#slow)
    const session = this.#session
    this.#session = undefined
    session?.close()
  }

  #become(state: ConsoleState): void {
    if (state === 'idle') {
      this.#overlay.hide()
      this.#overlay.showStill(undefined)
    }
    if (state === this.#state) return
    this.#state = state
    this.emit('statechange', { state })
  }

  // Every key goes to the machine, Tab too, so the keyboard needs a way out.
  readonly #leaveOnChord = (event: KeyboardEvent) => {
    if (!(event.ctrlKey && event.altKey && event.shiftKey) || !chordKeys.has(event.key)) return
    event.stopPropagation()
    event.preventDefault()
    this.leave()
    this.emit('release', null)
  }
}

const chordKeys: ReadonlySet<string> = new Set(['Control', 'Alt', 'Shift', 'Meta'])
