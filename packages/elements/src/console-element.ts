/** The base class of the console elements: dialling, new consoles, and reconnecting. */
import { pathAddress, socketAddress } from '@oriel/contract'
import { ConsoleCard } from './console-card.ts'
import {
  type ConsoleEnd,
  closedByPerson,
  type Disconnection,
  isAddressDead,
  isUnexplained,
  localEnd,
  reasonOf,
  sentenceOf,
} from './console-end.ts'
import type { ConsoleSession, ConsoleState, SessionEvents } from './console-events.ts'
import { languageOf, useLanguage } from './language/load.ts'
import { loadPart, PartNotLoaded } from './load-part.ts'
import type { MintConsole } from './new-console.ts'
import { type ConsoleAddress, newPageKey } from './page-key.ts'
import { probeTimeoutMs } from './presence/link.ts'
import { ReconnectPlan } from './reconnect-plan.ts'
import { Resumption, type TicketStore } from './resumption.ts'
import { SharedElement } from './shared-element.ts'

/**
 * A console in a page. It dials when it is in a document and has an address, and again whenever the address changes.
 * Subclasses implement how a session is opened and displayed.
 */
export abstract class ConsoleElement<S extends ConsoleSession> extends SharedElement {
  static readonly observedAttributes: readonly string[] = ['url', 'path', 'lang']

  protected readonly root: ShadowRoot
  readonly #card: ConsoleCard
  #plan = new ReconnectPlan()
  #state: ConsoleState = 'idle'
  #session: S | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #dialling = false
  #resumption: Resumption | undefined
  #ticketStore: TicketStore = 'memory'
  #lastEnd: ConsoleEnd | undefined
  /** Whether to take the console over from the viewer who has it. Only once for each decision of the user. */
  #takesOver = false
  #mint: MintConsole | undefined
  /** Aborts the creation of a console, or the question why one did not open. */
  #underWay: AbortController | undefined
  /** Whether `mint` was called for a dead address and no console has opened since. */
  #renewed = false

  constructor() {
    super()
    this.root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    this.root.append(document.createElement('slot'))
    this.#card = new ConsoleCard(this.root)
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

  /** Where the element keeps what it comes back with. Set it before the address. */
  set ticketStore(store: TicketStore) {
    this.#ticketStore = store
  }

  /**
   * Creates a console when the element has no address, when the address is not valid any more, and when the user asks for a
   * new console. Without it, the user must go back to where the console was opened. Default: `undefined`.
   * @example
   * element.mint = async () => (await fetch('/console', { method: 'POST' })).json()
   */
  get mint(): MintConsole | undefined {
    return this.#mint
  }
  set mint(mint: MintConsole | undefined) {
    this.#mint = mint
    if (this.#state === 'idle') this.#dialSoon()
  }

  get state(): ConsoleState {
    return this.#state
  }
  /** Why the last connection ended, or `undefined` if none has ended. */
  get lastEnd(): Disconnection | undefined {
    return this.#lastEnd && disconnection(this.#lastEnd, this.#state === 'waiting')
  }

  connectedCallback(): void {
    this.addEventListener('keydown', this.#leaveOnChord, { capture: true })
    window.addEventListener('online', this.#retryOnline)
    document.addEventListener('visibilitychange', this.#retryIfSeen)
    this.#dialSoon()
  }

  disconnectedCallback(): void {
    this.removeEventListener('keydown', this.#leaveOnChord, { capture: true })
    window.removeEventListener('online', this.#retryOnline)
    document.removeEventListener('visibilitychange', this.#retryIfSeen)
    this.#drop()
    this.#become('idle')
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return
    if (name === 'url' || name === 'path') this.#forgetConsole()
    else if (name === 'lang') this.#changeLanguage()
    else this.applySettings()
  }

  /** Dials now. Replaces an open connection or a pause. */
  reconnectNow(): void {
    this.#dialAnew(false)
  }

  /**
   * Dials now, and takes an exclusive console over from the viewer who has it, whose session then ends. Use it after a
   * refusal `in_use`, or to take a console back. Has the effect of `reconnectNow` for a console that viewers share.
   */
  takeOver(): void {
    this.#dialAnew(true)
  }

  /** Closes the console and does not dial again by itself. */
  disconnect(): void {
    clearTimeout(this.#retry)
    if (this.#session !== undefined) this.#session.close()
    else if (this.#underWay !== undefined) this.#stopWaiting()
    else if (this.#state === 'waiting' && this.#lastEnd !== undefined) this.#showEnd(this.#lastEnd)
  }

  /** The session that is dialling or connected. */
  protected get session(): S | undefined {
    return this.#session
  }

  /**
   * Dials `to.address`.
   * @throws SyntaxError or SecurityError for an address that the browser refuses to dial
   */
  protected abstract openSession(to: ConsoleAddress, events: SessionEvents): S

  /** Removes the focus from the console. */
  protected abstract leave(): void

  /** Called when a session has been opened, and when the state, or an observed attribute other than the address, changes. */
  protected applySettings(): void {}

  /** Returns the last picture of the console, which stays visible under the overlay while the element waits. */
  protected still(): HTMLCanvasElement | undefined {
    return undefined
  }

  protected override presenceChanged(): void {
    this.applySettings()
  }

  /** Whether the sessions of this kind of console share its control. */
  protected get sharesControl(): boolean {
    return true
  }

  /** Whether input is sent at all. */
  protected get sendsInput(): boolean {
    return !this.viewOnly && this.hasControl
  }

  // Tickets are for one console.
  #forgetConsole(): void {
    this.#resumption?.closed()
    this.#resumption = undefined
    this.#dialSoon()
  }

  // Deferred, so that setting two attributes causes one attempt.
  #dialSoon(): void {
    if (this.#dialling || !this.isConnected) return
    this.#dialling = true
    const dial = () => {
      this.#dialling = false
      if (this.isConnected) this.reconnectNow()
    }
    const loading = useLanguage(languageOf(this))
    if (loading === undefined) queueMicrotask(dial)
    else void loading.then(dial)
  }

  /** Texts that are shown stay as they are until they change. */
  async #changeLanguage(): Promise<void> {
    if (!this.isConnected) return
    await useLanguage(languageOf(this))
    this.applySettings()
  }

  #dialAnew(takesOver: boolean): void {
    this.#plan = new ReconnectPlan()
    this.#takesOver = takesOver
    this.#dial()
  }

  #dial(): void {
    this.#drop()
    const address = this.#address()
    if (this.url === '' && this.path === '') this.#dialFirst()
    else if (address === undefined) this.#onEnd(localEnd('bad_address'), 0)
    else this.#open(address)
  }

  #dialFirst(): void {
    if (this.#mint === undefined) this.#become('idle')
    else void this.#dialNewConsole()
  }

  async #dialNewConsole(): Promise<void> {
    const mint = this.#mint
    this.#drop()
    if (mint === undefined) return
    const minting = new AbortController()
    this.#underWay = minting
    this.#attempt()
    try {
      const { mintedUrl } = await loadPart(() => import('./new-console.ts'))
      const url = await mintedUrl(mint, minting.signal)
      if (minting.signal.aborted) return
      this.#underWay = undefined
      if (url === this.url) this.reconnectNow()
      else this.url = url
    } catch (cause) {
      if (minting.signal.aborted) return
      this.#underWay = undefined
      const reason = cause instanceof PartNotLoaded ? 'not_loaded' : 'not_created'
      this.#onEnd({ ...localEnd(reason), cause }, 0)
    }
  }

  #stopWaiting(): void {
    this.#underWay?.abort()
    this.#underWay = undefined
    this.#onEnd(closedByPerson(), 0)
  }

  #address(): URL | undefined {
    return this.url === '' ? pathAddress(this.path, document.baseURI) : socketAddress(this.url, document.baseURI)
  }

  #open(address: URL): void {
    this.#attempt()
    const resumption = this.#resumptionOfConsole()
    const dialled = resumption.dialled(address)
    const to = { ...dialled, address: this.#addressToDial(dialled), pageKey: newPageKey(), console: address.href }
    try {
      const session: S = this.openSession(to, {
        connect: () => {
          this.#connected(to)
          resumption.opened(to)
        },
        end: (end) => {
          if (this.#session !== session) return
          this.#session = undefined
          resumption.closed()
          if (end.refusal === 'unknown_token' && resumption.forget() && hasToken(address)) this.#dial()
          else if (this.#mint !== undefined && !this.#renewed && isAddressDead(end)) this.#renew()
          else if (isUnexplained(end)) void this.#explain(end, address)
          else this.#onEnd(end, session.connectedMs())
        },
      })
      this.#session = session
      this.applySettings()
    } catch {
      this.#onEnd(localEnd('bad_address'), 0)
    }
  }

  /**
   * Ends with the reason of a server on the way, if that tells one. Dials again if the code that asks cannot be loaded: then the
   * page's server has gone meanwhile, and a proxy that restarts comes back.
   */
  async #explain(end: ConsoleEnd, address: URL): Promise<void> {
    const asking = new AbortController()
    this.#underWay = asking
    const { signal } = asking
    const why = await loadUnopened()
      .then(({ whyUnopened }) => whyUnopened(address, { signal, page: location.href }))
      .catch(() => ({ ...end, remedy: 'reconnect' as const }))
    if (signal.aborted) return
    this.#underWay = undefined
    this.#onEnd(why ?? end, 0)
  }

  /** Replaces a dead address. Once only, so that a `mint` that returns dead addresses is not called without end. */
  #renew(): void {
    this.#renewed = true
    void this.#dialNewConsole()
  }

  #attempt(): void {
    // Attempts while the machine is off change nothing that the user sees, unless they take long.
    const isSilent = this.#waitsForMachine
    if (!isSilent) this.#become('connecting')
    this.#card.attempt({ isAgain: this.#plan.wasConnected, isSilent })
  }

  #addressToDial({ address }: Pick<ConsoleAddress, 'address'>): URL {
    const dialled = new URL(address)
    if (this.#takesOver) dialled.searchParams.set('take_over', '1')
    return dialled
  }

  #resumptionOfConsole(): Resumption {
    this.#resumption ??= new Resumption({
      store: this.#ticketStore,
      tab: tabStorage(),
      onReloadable: (handle) => this.emit('resumable', { handle }),
    })
    return this.#resumption
  }

  #connected(to: ConsoleAddress): void {
    this.#takesOver = false
    this.#renewed = false
    if (this.sharesControl) this.openPresence(to)
    else this.watchLink(to)
    const hadFocus = this.#card.hasFocus
    this.#card.clear()
    this.#become('connected')
    if (hadFocus) this.focus({ preventScroll: true })
    this.emit('connect', null)
    // Once the console is lost, the proxy may be unable to serve it.
    loadUnopened().catch(() => undefined)
  }

  /** Dials again: a connection over a dead link stays open until the browser gives up, which takes minutes. */
  protected override linkFellSilent(): void {
    const session = this.#session
    if (session === undefined || (session.silentMs?.() ?? probeTimeoutMs) < probeTimeoutMs) return
    this.#session = undefined
    this.#resumption?.closed()
    this.#onEnd(localEnd('link_silent'), session.connectedMs())
    session.close()
  }

  #onEnd(end: ConsoleEnd, connectedMs: number): void {
    this.#lastEnd = end
    // The screen is about to be removed, or to be covered: the person must find the card's button.
    const hadFocus = this.matches(':focus-within')
    const pauseMs = this.reconnect
      ? this.#plan.next({ end, connectedMs, canResume: this.#resumption?.isValid === true })
      : undefined
    if (pauseMs === undefined) this.#showEnd(end)
    else this.#wait(end, pauseMs)
    if (hadFocus) this.#card.focus()
    this.closePresence()
    this.emit('disconnect', disconnection(end, pauseMs !== undefined))
  }

  #showEnd(end: ConsoleEnd): void {
    this.#card.ended(end, {
      reconnect: () => this.reconnectNow(),
      takeOver: () => this.takeOver(),
      ...(this.#mint !== undefined && { newConsole: () => void this.#dialNewConsole() }),
    })
    this.#become('ended')
  }

  /** Whether the element waits until the machine is on. */
  get #waitsForMachine(): boolean {
    return this.#state === 'waiting' && this.#plan.waitsForMachine
  }

  #wait(end: ConsoleEnd, pauseMs: number): void {
    // Copy the picture now: the session is about to remove its canvas.
    const still = this.#state === 'connected' ? this.still() : undefined
    const retry = () => this.#dialAnew(this.#takesOver)
    this.#card.waiting(end, { wasConnected: this.#plan.wasConnected, still, retry })
    this.#become('waiting')
    this.#retry = setTimeout(() => this.#dialIfWanted(), pauseMs)
  }

  /** A page in a hidden tab does not dial while the machine is off. It dials as soon as the tab is visible. */
  #dialIfWanted(): void {
    if (!this.#waitsForMachine || document.visibilityState === 'visible') this.#dial()
  }

  readonly #retryAtOnce = () => {
    if (this.#state === 'waiting') this.#dial()
  }

  /** An attempt that is under way may still fail with the link of before: then the next one comes soon. */
  readonly #retryOnline = () => {
    this.#plan.restart()
    this.#retryAtOnce()
    this.probe()
  }

  readonly #retryIfSeen = () => {
    if (document.visibilityState !== 'visible') return
    this.#retryAtOnce()
    this.probe()
  }

  // Closes the session without a `disconnect` event.
  #drop(): void {
    clearTimeout(this.#retry)
    this.#underWay?.abort()
    const session = this.#session
    this.#session = undefined
    this.#resumption?.closed()
    session?.close()
    this.closePresence()
  }

  #become(state: ConsoleState): void {
    if (state === 'idle') this.#card.clear()
    if (state === this.#state) return
    this.#state = state
    this.applySettings()
    const isOver = state === 'waiting' || state === 'ended'
    this.emit('statechange', isOver ? { state, ...this.lastEnd } : { state })
  }

  // All keys, including Tab, go to the machine, so keyboard users need a chord to leave the console.
  readonly #leaveOnChord = (event: KeyboardEvent) => {
    if (!(event.ctrlKey && event.altKey && event.shiftKey) || !chordKeys.has(event.key)) return
    event.stopPropagation()
    event.preventDefault()
    this.leave()
    this.emit('release', null)
  }
}

const disconnection = (end: ConsoleEnd, willRetry: boolean): Disconnection => ({
  ...end,
  text: sentenceOf(end),
  reason: reasonOf(end),
  willRetry,
})

const loadUnopened = () => import('./unopened.ts')

const hasToken = ({ searchParams }: URL) => searchParams.has('token')

/** Returns the tab's storage, which browsers may refuse to pages in frames. */
function tabStorage(): Storage | undefined {
  try {
    return window.sessionStorage
  } catch {
    return undefined
  }
}

const chordKeys: ReadonlySet<string> = new Set(['Control', 'Alt', 'Shift', 'Meta'])
