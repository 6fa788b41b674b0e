/** The base class of the console elements: dialling, the overlay, and reconnecting. */

import {
  type ConsoleRole,
  type PresenceInvitation,
  type PresenceParticipant,
  type PresenceRequest,
  type PresenceState,
  pathAddress,
  socketAddress,
} from '@oriel/contract'
import {
  type ConsoleEnd,
  closedByPerson,
  type Disconnection,
  finalWords,
  isAddressDead,
  isSwitchedOff,
  localEnd,
  mayOpenAgain,
  mayTakeOver,
  reasonOf,
  sentenceOf,
  waitingWords,
  wasTakenOver,
} from './console-end.ts'
import { languageOf, useLanguage } from './language/load.ts'
import { t } from './language/texts/elements.ts'
import type { MintConsole } from './new-console.ts'
import { createOverlay, type Overlay, type OverlayAction } from './overlay.ts'
import { type ConsoleAddress, newPageKey } from './page-key.ts'
import { plainLine } from './plain-line.ts'
import {
  type CreatedInvitation,
  type InvitationAnswer,
  type InvitationRequest,
  invitedBy,
} from './presence/invitations.ts'
import { PresenceLink, probeTimeoutMs } from './presence/link.ts'
import { ReconnectPlan } from './reconnect-plan.ts'
import { Resumption, type TicketStore } from './resumption.ts'

/** `idle`: there is no address. `waiting`: a pause before the next attempt. `ended`: the user must act. */
export type ConsoleState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'ended'

/** The new state; for `waiting` and `ended` also why. */
export type StateChange =
  | { readonly state: 'idle' | 'connecting' | 'connected' }
  | ({ readonly state: 'waiting' | 'ended' } & Disconnection)

/** The events of every console element. None of them bubbles. */
export interface ConsoleEventMap {
  statechange: CustomEvent<StateChange>
  connect: CustomEvent<null>
  disconnect: CustomEvent<Disconnection>
  /**
   * The user pressed Ctrl+Alt+Shift to leave the console. No element has the focus then, unless a listener moves it.
   */
  release: CustomEvent<null>
  /**
   * The participants of this console, or control of it, have changed. `null`: the proxy has no presence for this console.
   */
  presence: CustomEvent<{ state: PresenceState | null }>
  /** The proxy refused a request for control. Show `text` as text, never as markup. */
  presencerefused: CustomEvent<{ text: string }>
  /** A reload of the page comes back to the console if the page's address has `handle` in place of the token. */
  resumable: CustomEvent<{ handle: string }>
}

/** An invitation to the open session. */
export interface InviteOptions {
  /** `watch`: the guest sees the console. `control`: the guest may also type. */
  readonly role: ConsoleRole
  /** How long the link may be opened, in whole seconds. Default: that of a new console. */
  readonly ttlSeconds?: number | undefined
  /** A name for people, of at most 64 characters. Others see it beside the guest. */
  readonly label?: string | undefined
}

/** After this time the overlay says that connecting takes long: the proxy may be waiting for a slow cloud. */
const slowAfterMs = 4_000

/** One connection to one console, from dialling to its end. */
export interface ConsoleSession {
  /** Milliseconds since the console was connected; 0 if it never was. */
  connectedMs(): number
  /** Ends the session at the user's request. */
  close(): void
  /** Milliseconds since the last data of the console. Absent: unknown. */
  silentMs?(): number
}

/** The callbacks of a session. */
export interface SessionEvents {
  connect(): void
  /** Called exactly once, after all other callbacks. */
  end(end: ConsoleEnd): void
}

/**
 * A console in a page. It dials when it is in a document and has an address, and again whenever the address changes.
 * Subclasses implement how a session is opened and displayed.
 */
export abstract class ConsoleElement<S extends ConsoleSession> extends HTMLElement {
  static readonly observedAttributes: readonly string[] = ['url', 'path', 'lang']

  protected readonly root: ShadowRoot
  readonly #overlay: Overlay
  #plan = new ReconnectPlan()
  #state: ConsoleState = 'idle'
  #session: S | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #slow: ReturnType<typeof setTimeout> | undefined
  #dialling = false
  #resumption: Resumption | undefined
  #ticketStore: TicketStore = 'memory'
  #lastEnd: ConsoleEnd | undefined
  #link: PresenceLink | undefined
  #presence: PresenceState | undefined
  #presencePending = false
  #role: ConsoleRole | undefined
  /** Whether to take the console over from the viewer who has it. Only once for each decision of the user. */
  #takesOver = false
  #mint: MintConsole | undefined
  #minting: AbortController | undefined
  /** Whether `mint` was called for a dead address and no console has opened since. */
  #renewed = false

  constructor() {
    super()
    this.root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    this.root.append(document.createElement('slot'))
    this.#overlay = createOverlay(this.root)
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

  /** Who has this console open and who has control; `undefined` if the proxy does not say so, or has not yet. */
  get presence(): PresenceState | undefined {
    return this.#presence
  }
  /** Whether the console is connected and the first `presence` event is still to come. */
  get presencePending(): boolean {
    return this.#presencePending
  }
  /** The sessions that have this console open at the same proxy, the oldest first. Show labels as text, never as markup. */
  get participants(): readonly PresenceParticipant[] {
    return this.#presence?.participants ?? []
  }
  /** The role of this session, once it is known. */
  get consoleRole(): ConsoleRole | undefined {
    return this.#role
  }
  /** Whether this session's input reaches the machine. The proxy enforces this. */
  get hasControl(): boolean {
    const self = this.participants.find(({ id }) => id === this.#presence?.you)
    return self?.has_control ?? this.#role !== 'watch'
  }

  /** Asks those who have control to give it. */
  requestControl(): void {
    this.#ask({ type: 'request_control' })
  }
  withdrawRequest(): void {
    this.#ask({ type: 'withdraw_request' })
  }
  /** Gives control to the participant with this id, and to it alone. */
  giveControl(to: string): void {
    this.#ask({ type: 'give_control', to })
  }
  /** Takes control, for this session alone. */
  takeControl(): void {
    this.#ask({ type: 'take_control' })
  }
  /** Gives control back: all sessions whose role is control have it then. */
  releaseControl(): void {
    this.#ask({ type: 'release_control' })
  }

  /** Whether this session may invite: the creator of its console decides, and the proxy enforces it. */
  get mayInvite(): boolean {
    return this.#presence?.may_invite === true
  }
  /** The invitations to this session, the newest first, without their links. Show labels as text, never as markup. */
  get invitations(): readonly PresenceInvitation[] {
    return this.#presence?.invitations?.list ?? []
  }

  /**
   * Invites somebody to this session with a link that opens the console once. The link is a credential, which is returned only
   * here. A `presence` event follows.
   * @throws Error with a sentence for the user, if the session may not invite, or there are too many invitations
   */
  async invite({ role, ttlSeconds, label }: InviteOptions): Promise<CreatedInvitation> {
    const optional = { ...(ttlSeconds === undefined ? {} : { ttl_seconds: ttlSeconds }), ...(label ? { label } : {}) }
    return invitedBy(await this.#askInvitations({ type: 'invite', role, ...optional }))
  }

  /**
   * Revokes an invitation, and ends the session of the guest who came with it.
   * @throws Error with a sentence for the user
   */
  async revokeInvitation(id: string): Promise<void> {
    await this.#askInvitations({ type: 'revoke_invitation', id })
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
    else if (this.#minting !== undefined) this.#stopMinting()
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

  /** Called when a session has been opened, and when an observed attribute other than the address changes. */
  protected applySettings(): void {}

  /** Returns the last picture of the console, which stays visible under the overlay while the element waits. */
  protected still(): HTMLCanvasElement | undefined {
    return undefined
  }

  /** Whether the sessions of this kind of console share its control. */
  protected get sharesControl(): boolean {
    return true
  }

  /** Whether input is sent at all. */
  protected get sendsInput(): boolean {
    return !this.viewOnly && this.hasControl
  }

  protected emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }))
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
    this.#minting = minting
    this.#showAttempt()
    try {
      const { mintedUrl } = await import('./new-console.ts')
      const url = await mintedUrl(mint, minting.signal)
      if (minting.signal.aborted) return
      this.#minting = undefined
      if (url === this.url) this.reconnectNow()
      else this.url = url
    } catch (cause) {
      if (minting.signal.aborted) return
      this.#minting = undefined
      this.#onEnd({ ...localEnd('not_created'), cause }, 0)
    }
  }

  #stopMinting(): void {
    this.#minting?.abort()
    this.#minting = undefined
    this.#onEnd(closedByPerson(), 0)
  }

  #address(): URL | undefined {
    return this.url === '' ? pathAddress(this.path, document.baseURI) : socketAddress(this.url, document.baseURI)
  }

  #open(address: URL): void {
    this.#showAttempt()
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
          else this.#onEnd(end, session.connectedMs())
        },
      })
      this.#session = session
      this.applySettings()
    } catch {
      this.#onEnd(localEnd('bad_address'), 0)
    }
  }

  /** Replaces a dead address. Once only, so that a `mint` that returns dead addresses is not called without end. */
  #renew(): void {
    this.#renewed = true
    void this.#dialNewConsole()
  }

  #showAttempt(): void {
    const text = t(this.#plan.wasConnected ? 'reconnecting' : 'opening')
    // Attempts while the machine is off change nothing that the user sees.
    if (!this.#waitsForMachine) {
      this.#become('connecting')
      this.#overlay.show({ tone: 'busy', text })
    }
    this.#slow = setTimeout(() => {
      this.#overlay.show({ tone: 'busy', text, advice: t('slow') })
    }, slowAfterMs)
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
    if (this.sharesControl) this.#openPresence(to)
    else this.#watchLink(to)
    clearTimeout(this.#slow)
    this.#overlay.hide()
    this.#overlay.showStill(undefined)
    this.#become('connected')
    this.emit('connect', null)
  }

  #openPresence(to: ConsoleAddress): void {
    this.#presencePending = true
    this.#link = new PresenceLink(to, {
      state: (state) => this.#showPresence(state),
      refused: (text) => this.emit('presencerefused', { text: plainLine(text) }),
      silent: () => this.#linkFellSilent(),
    })
  }

  /** Opens a presence WebSocket only to notice that the link is lost. */
  #watchLink(to: ConsoleAddress): void {
    this.#link = new PresenceLink(to, { state: () => {}, refused: () => {}, silent: () => this.#linkFellSilent() })
  }

  /** Dials again: a connection over a dead link stays open until the browser gives up, which takes minutes. */
  #linkFellSilent(): void {
    const session = this.#session
    if (session === undefined || (session.silentMs?.() ?? probeTimeoutMs) < probeTimeoutMs) return
    this.#session = undefined
    this.#resumption?.closed()
    this.#onEnd(localEnd('link_silent'), session.connectedMs())
    session.close()
  }

  #showPresence(state: PresenceState | undefined): void {
    this.#presencePending = false
    this.#presence = state
    this.#role = state?.participants.find(({ id }) => id === state.you)?.role ?? this.#role
    this.applySettings()
    this.emit('presence', { state: state ?? null })
  }

  #closePresence(): void {
    const shown = this.#presence !== undefined
    this.#link?.close()
    this.#link = undefined
    this.#presence = undefined
    this.#presencePending = false
    this.#role = undefined
    if (shown) this.emit('presence', { state: null })
  }

  #ask(request: PresenceRequest): void {
    this.#link?.send(request)
  }

  async #askInvitations(request: InvitationRequest): Promise<InvitationAnswer> {
    if (this.#link === undefined) throw new Error(t('error.not-connected-yet'))
    return this.#link.ask(request)
  }

  #onEnd(end: ConsoleEnd, connectedMs: number): void {
    clearTimeout(this.#slow)
    this.#lastEnd = end
    const pauseMs = this.reconnect
      ? this.#plan.next({ end, connectedMs, canResume: this.#resumption?.isValid === true })
      : undefined
    if (pauseMs === undefined) this.#showEnd(end)
    else this.#wait(end, pauseMs)
    this.#closePresence()
    this.emit('disconnect', disconnection(end, pauseMs !== undefined))
  }

  #showEnd(end: ConsoleEnd): void {
    this.#overlay.showStill(undefined)
    const words = finalWords(end)
    const advice = this.#offersNewConsole(end) ? '' : words.advice
    this.#overlay.show({ tone: 'ended', ...words, advice, actions: this.#actionsAfter(end) })
    this.#become('ended')
  }

  #actionsAfter(end: ConsoleEnd): readonly OverlayAction[] {
    const takeOver = { label: t('take-over'), act: () => this.takeOver() }
    if (wasTakenOver(end)) return [takeOver]
    if (this.#offersNewConsole(end)) return [{ label: t('new-console'), act: () => this.#dialNewConsole() }]
    if (!mayOpenAgain(end)) return []
    const label = t(end.remedy === 'new-console' || end.refusal !== undefined ? 'try-again' : 'reconnect')
    const again = { label, act: () => this.reconnectNow() }
    return mayTakeOver(end) ? [takeOver, again] : [again]
  }

  #offersNewConsole({ remedy }: ConsoleEnd): boolean {
    return this.#mint !== undefined && remedy === 'new-console'
  }

  /** Whether the element waits until the machine is on. */
  get #waitsForMachine(): boolean {
    return this.#state === 'waiting' && this.#plan.waitsForMachine
  }

  #wait(end: ConsoleEnd, pauseMs: number): void {
    const words = waitingWords(end, this.#plan.wasConnected)
    const text = end.remedy === 'reconnect' ? words.text : t('no-answer-yet')
    // Copy the picture now: the session is about to remove its canvas.
    if (this.#state === 'connected') this.#overlay.showStill(this.still())
    const isOff = isSwitchedOff(end)
    const label = t(this.#plan.wasConnected && !isOff ? 'reconnect-now' : 'try-now')
    const now = { label, act: () => this.#dialAnew(this.#takesOver) }
    this.#overlay.show({ tone: isOff ? 'off' : 'waiting', ...words, text, actions: [now] })
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
    this.#link?.probe()
  }

  readonly #retryIfSeen = () => {
    if (document.visibilityState !== 'visible') return
    this.#retryAtOnce()
    this.#link?.probe()
  }

  // Closes the session without a `disconnect` event.
  #drop(): void {
    clearTimeout(this.#retry)
    clearTimeout(this.#slow)
    this.#minting?.abort()
    const session = this.#session
    this.#session = undefined
    this.#resumption?.closed()
    session?.close()
    this.#closePresence()
  }

  #become(state: ConsoleState): void {
    if (state === 'idle') {
      this.#overlay.hide()
      this.#overlay.showStill(undefined)
    }
    if (state === this.#state) return
    this.#state = state
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
