/**
 * `<oriel-console>`: any console of a machine, with tools. It loads the element for the kind of console when it knows its address.
 *
 * Unlike the other elements, it can be imported on a server, where it defines nothing.
 */
import { createShown } from './console/create.ts'
import { type ConsoleKind, isKind, kindOf } from './console/kind.ts'
import { pictureOf, type Shown, type TypingOptions, textOf, typeInto } from './console/shown.ts'
import { consoleStyles } from './console/styles.ts'
import { isTool, type Tool } from './console/tools.ts'
import { type ConsoleEnd, type Disconnection, finalWords, localEnd, reasonOf, sentenceOf } from './console-end.ts'
import type { ConsoleState, StateChange, Viewers } from './console-events.ts'
import { languageOf, useLanguage } from './language/load.ts'
import { t } from './language/texts/elements.ts'
import { loadPart, PartNotLoaded } from './load-part.ts'
import { type MintConsole, mintedUrl } from './new-console.ts'
import { createOverlay, type Overlay } from './overlay.ts'

/** The events of `<oriel-console>`. None of them bubbles. */
export interface OrielConsoleEventMap {
  statechange: CustomEvent<StateChange>
  connect: CustomEvent<null>
  disconnect: CustomEvent<Disconnection>
  /** The size of the screen in pixels, or of the terminal in characters. */
  resize: CustomEvent<ScreenSize>
  /** The machine has copied a text. VNC only. */
  clipboard: CustomEvent<{ text: string }>
  /** Who has the console open has changed. Empty: the proxy does not say so. Show labels as text, never as markup. VNC and serial. */
  viewers: CustomEvent<Viewers>
  /** The round trip between page and proxy has been measured, and has changed. */
  latency: CustomEvent<{ ms: number }>
  bell: CustomEvent<null>
  /** The user pressed Ctrl+Alt+Shift to leave the console. */
  release: CustomEvent<null>
}

export type ScreenSize =
  | { readonly width: number; readonly height: number }
  | { readonly columns: number; readonly rows: number }

/** Attributes that are those of the inner element. */
const passedOn = ['path', 'reconnect', 'view-only', 'scale', 'screen-reader'] as const
/** Events of the inner element that are also those of this one. */
const forwarded = [
  ...['statechange', 'connect', 'disconnect', 'clipboard', 'resize', 'viewers', 'latency', 'bell', 'release'],
] as const

// A server has no HTMLElement. The class is then only a name in a program that never creates an element.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement)

/**
 * A console of any kind. It dials when it is in a document and has an address, and again whenever the address changes.
 *
 * | attribute | property | |
 * |---|---|---|
 * | `url` | `url` | the access URL as the API returns it, or a `ws:`/`wss:` URL |
 * | `kind` | `kind` | `vnc`, `serial` or `spice`. Default: by the URL, see {@link kindOf} |
 * | `toolbar` | `toolbar` | the tools above the console, of `keys type clipboard view full`. Default: none |
 * | `reconnect`, `view-only`, `scale`, `path`, `screen-reader` | | as in the element for the kind |
 *
 * @example
 * ```html
 * <oriel-console url="https://console.example/vnc_lite.html?path=%3Ftoken%3D…" toolbar="keys type full" reconnect></oriel-console>
 * ```
 */
export class OrielConsole extends Base {
  static readonly observedAttributes: readonly string[] = ['url', 'kind', 'toolbar', 'lang', ...passedOn]

  readonly #root: ShadowRoot
  readonly #place = document.createElement('div')
  readonly #overlay: Overlay
  #shown: Shown | undefined
  #mint: MintConsole | undefined
  #updating = false
  /** Aborted when the address changes: ends a `mint` and drops an element that is still loading. */
  #opening = new AbortController()
  /** The address that the inner element was given; it may have replaced it by one from `mint`. */
  #given = ''
  #bar: HTMLElement | undefined

  constructor() {
    super()
    this.#root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    this.#place.className = 'place'
    this.#place.append(document.createElement('slot'))
    this.#overlay = createOverlay(this.#root, this.#place)
    this.#root.adoptedStyleSheets.push(consoleStyles())
    this.#root.append(this.#place)
  }

  get url(): string {
    return this.getAttribute('url') ?? ''
  }
  set url(url: string) {
    this.setAttribute('url', url)
  }
  /** The kind of the console; `undefined` if neither the attribute nor the URL tells. */
  get kind(): ConsoleKind | undefined {
    const kind = this.getAttribute('kind')
    return isKind(kind) ? kind : kindOf(this.url, document.baseURI)
  }
  set kind(kind: ConsoleKind | undefined) {
    if (kind === undefined) this.removeAttribute('kind')
    else this.setAttribute('kind', kind)
  }
  get toolbar(): string {
    return this.getAttribute('toolbar') ?? ''
  }
  set toolbar(tools: string) {
    this.setAttribute('toolbar', tools)
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
  get scale(): string {
    return this.getAttribute('scale') ?? 'fit'
  }
  set scale(scale: string) {
    this.setAttribute('scale', scale)
  }

  /** Creates a console when there is no address, or the address is not valid any more. See `OrielVnc.mint`. */
  get mint(): MintConsole | undefined {
    return this.#mint
  }
  set mint(mint: MintConsole | undefined) {
    this.#mint = mint
    if (this.#shown !== undefined) this.#shown.element.mint = mint && this.#mintForShown
    else this.#updateSoon()
  }

  /** The element that shows the console, with all that its kind offers; `undefined` until it is loaded. */
  get screen(): Shown['element'] | undefined {
    return this.#shown?.element
  }
  get state(): ConsoleState {
    return this.#shown?.element.state ?? 'idle'
  }
  /** Why the last connection ended, or `undefined` if none has ended. */
  get lastEnd(): Disconnection | undefined {
    return this.#shown?.element.lastEnd
  }

  override addEventListener<K extends keyof AllEvents>(
    type: K,
    listener: (event: AllEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void
  override addEventListener(type: string, listener: Listener, options?: boolean | AddEventListenerOptions): void
  override addEventListener(type: string, listener: unknown, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener as EventListener, options)
  }

  connectedCallback(): void {
    this.#updateSoon()
  }

  disconnectedCallback(): void {
    this.#opening.abort()
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return
    if (name === 'toolbar') void this.#showBar()
    else if (name === 'lang') void this.#changeLanguage()
    else if (name === 'url' || name === 'kind') this.#updateSoon()
    else this.#passOn(name)
  }

  override focus(options?: FocusOptions): void {
    this.#shown?.element.focus(options)
  }

  /** Closes the console and does not dial again by itself. */
  disconnect(): void {
    this.#opening.abort()
    this.#shown?.element.disconnect()
  }
  /** Dials now. Replaces an open connection or a pause. */
  reconnectNow(): void {
    if (this.#shown === undefined) this.#updateSoon()
    else this.#shown.element.reconnectNow()
  }
  /** Dials in place of another viewer, see `OrielVnc.takeOver`. */
  takeOver(): void {
    this.#shown?.element.takeOver()
  }

  /**
   * Presses and releases keys one after the other, by names as in `OrielVnc.sendKeys`: `Escape`, `F12`, `Ctrl+Alt+F2`.
   * @throws TypeError if there is no key of a name; Error when the console is not connected
   */
  async sendKeys(...keys: string[]): Promise<void> {
    await this.#requireConnected().element.sendKeys(...keys)
  }

  /**
   * Types `text` on the machine's keyboard layout; into a serial port, as it is.
   * @returns the characters that were left out, because the layout lacks them, or because they are control characters that a
   *   terminal must not be given
   * @throws TypeError for an unknown layout; the reason of `options.signal`; Error when the console is not connected, is lost while
   *   typing, or is under another participant's control
   */
  async typeText(text: string, options: TypingOptions = {}): Promise<{ readonly skipped: readonly string[] }> {
    return { skipped: await typeInto(this.#requireConnected(), text, options) }
  }

  /**
   * Returns the picture on the screen.
   * @throws Error for a serial console, which has no picture, and when the console is not connected
   */
  async screenshot(type = 'image/png'): Promise<Blob> {
    return pictureOf(this.#requireConnected(), type)
  }

  /**
   * Returns the text on a text console, or all output that a terminal keeps.
   * @throws Error for a SPICE console, and when the console is not connected
   */
  async text(): Promise<string> {
    return textOf(this.#requireConnected())
  }

  #requireConnected(): Shown {
    if (this.#shown === undefined || this.state !== 'connected') throw new Error(t('error.not-connected'))
    return this.#shown
  }

  // Deferred, so that setting two attributes causes one attempt.
  #updateSoon(): void {
    if (this.#updating || !this.isConnected) return
    this.#updating = true
    const update = () => {
      this.#updating = false
      if (this.isConnected) this.#update()
    }
    const loading = useLanguage(languageOf(this))
    if (loading === undefined) queueMicrotask(update)
    else void loading.then(update)
  }

  async #changeLanguage(): Promise<void> {
    if (!this.isConnected) return
    await useLanguage(languageOf(this))
    await this.#showBar()
  }

  #update(): void {
    const { url, kind } = this
    this.#opening.abort()
    this.#opening = new AbortController()
    if (url === '' && !this.hasAttribute('path')) this.#mintFirst(this.#opening.signal)
    else if (kind === undefined) this.#fail(localEnd('bad_address'))
    else if (this.#shown?.kind === kind) this.#give(this.#shown, url)
    else void this.#show(kind, this.#opening.signal)
  }

  async #mintFirst(signal: AbortSignal): Promise<void> {
    if (this.#mint === undefined || this.#shown !== undefined) return
    this.#overlay.show({ tone: 'busy', text: t('opening') })
    try {
      const url = await mintedUrl(this.#mint, signal)
      if (!signal.aborted) this.url = url
    } catch (cause) {
      if (!signal.aborted) this.#fail({ ...localEnd('not_created'), cause })
    }
  }

  async #show(kind: ConsoleKind, signal: AbortSignal): Promise<void> {
    this.#drop()
    try {
      const shown = await createShown(kind)
      if (signal.aborted) return
      this.#adopt(shown)
    } catch (cause) {
      if (!signal.aborted) this.#fail({ ...localEnd('not_loaded'), cause })
    }
  }

  #adopt(shown: Shown): void {
    const { element } = shown
    this.#shown = shown
    this.#overlay.hide()
    for (const name of passedOn) this.#passOn(name)
    if (this.#mint !== undefined) element.mint = this.#mintForShown
    this.#forward(shown)
    this.#give(shown, this.url)
    this.append(element)
    void this.#showBar()
  }

  /** Leaves an address alone that the inner element has replaced meanwhile. */
  #give({ element }: Shown, url: string): void {
    if (url === this.#given || url === '') return
    this.#given = url
    element.url = url
  }

  #forward({ element }: Shown): void {
    const target: EventTarget = element
    for (const type of forwarded)
      target.addEventListener(type, (event) => this.#emit(type, (event as CustomEvent<unknown>).detail))
    target.addEventListener('sizechange', (event) => this.#emit('resize', (event as CustomEvent<ScreenSize>).detail))
  }

  /** A new console may be of another kind: then its element replaces this one. */
  readonly #mintForShown: MintConsole = async (signal) => {
    const minted = await this.#mint!(signal)
    if (kindOf(minted.url, document.baseURI) !== this.#shown?.kind && !this.hasAttribute('kind')) this.url = minted.url
    return minted
  }

  #passOn(name: string): void {
    const value = this.getAttribute(name)
    if (value === null) this.#shown?.element.removeAttribute(name)
    else this.#shown?.element.setAttribute(name, value)
  }

  #drop(): void {
    this.#shown?.element.remove()
    this.#shown = undefined
    this.#given = ''
    this.#overlay.hide()
  }

  /** Shows an end that no inner element can show. */
  #fail(end: ConsoleEnd): void {
    this.#drop()
    const again = { label: t('try-again'), act: () => this.#updateSoon() }
    this.#overlay.show({ tone: 'ended', ...finalWords(end), actions: end.code === 0 && this.url !== '' ? [] : [again] })
    this.#emit('disconnect', { ...end, text: sentenceOf(end), reason: reasonOf(end), willRetry: false })
  }

  async #showBar(): Promise<void> {
    this.#bar?.remove()
    const shown = this.#shown
    const tools = this.toolbar.split(/\s+/).filter((name): name is Tool => isTool(name))
    if (tools.length === 0 || shown === undefined) return
    const bar = await this.#createBar(shown, tools)
    if (shown !== this.#shown) return
    this.#bar?.remove()
    this.#bar = bar
    this.#root.prepend(this.#bar)
  }

  async #createBar(shown: Shown, tools: readonly Tool[]): Promise<HTMLElement> {
    try {
      return (await loadPart(() => import('./console/bar.ts'))).createBar(this, shown, tools)
    } catch (error) {
      if (!(error instanceof PartNotLoaded)) throw error
      return missingBar(error.message, () => void this.#showBar())
    }
  }

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }
}

/** Stands in place of a bar that could not be loaded. The console works without it. */
function missingBar(text: string, tryAgain: () => void): HTMLElement {
  const bar = document.createElement('div')
  const note = document.createElement('p')
  const button = document.createElement('button')
  bar.className = 'bar'
  note.className = 'note'
  note.role = 'alert'
  note.textContent = text
  button.type = 'button'
  button.textContent = t('try-again')
  button.addEventListener('click', tryAgain)
  bar.append(note, button)
  return bar
}

type AllEvents = Omit<HTMLElementEventMap, keyof OrielConsoleEventMap> & OrielConsoleEventMap
type Listener = EventListenerOrEventListenerObject

declare global {
  interface HTMLElementTagNameMap {
    'oriel-console': OrielConsole
  }
}

if (globalThis.customElements !== undefined && customElements.get('oriel-console') === undefined)
  customElements.define('oriel-console', OrielConsole)
