/** `<oriel-spice>`: the screen, keyboard and mouse of a machine over SPICE. A page can hold only one. */
import { ConsoleElement } from './console-element.ts'
import type { ConsoleEventMap, SessionEvents } from './console-events.ts'
import { t } from './language/texts/elements.ts'
import { t as screenText } from './language/texts/screens.ts'
import { loadPart } from './load-part.ts'
import { stillOf } from './overlay.ts'
import type { ConsoleAddress } from './page-key.ts'
import { SpiceKeyboard } from './spice/keyboard.ts'
import { openSpiceSession, type SpiceLibrary, type SpiceSession } from './spice/session.ts'
import type { Typed, TypeOptions, Typist } from './vnc/typist.ts'

/** The events of `<oriel-spice>`. None of them bubbles. */
export interface OrielSpiceEventMap extends ConsoleEventMap {
  /** The machine's resolution is known, or has changed. */
  resize: CustomEvent<{ width: number; height: number }>
}

/**
 * A SPICE console, like `<oriel-vnc>` but without clipboard.
 *
 * | attribute | property | |
 * |---|---|---|
 * | `url`, `path`, `view-only`, `reconnect` | | as in `<oriel-vnc>` |
 * | `library` | | the address of spice-html5's `main.js`, relative to the page. Default: the module that {@link OrielSpice.loadLibrary} loads |
 * | `scale` | `scale` | `fit` or `none`. Default: `fit` |
 */
export class OrielSpice extends ConsoleElement<SpiceSession> {
  static override readonly observedAttributes = [...ConsoleElement.observedAttributes, 'view-only', 'scale']

  /**
   * Loads spice-html5 for elements without the attribute `library`. The entry `@oriel/elements/spice` sets it to an import of
   * the package.
   */
  static loadLibrary: (() => Promise<SpiceLibrary>) | undefined

  #keys: Typist | undefined
  #resolution = ''
  readonly #stage = createStage()
  readonly #keyboard = new SpiceKeyboard((code, down) => this.session?.sendKey(code, down), navigator.platform)
  readonly #resized = new ResizeObserver(() => this.#scaleScreen())
  /** The library adds, removes and resizes its canvas by itself. */
  readonly #redrawn = new MutationObserver(() => this.#prepare())

  get scale(): 'fit' | 'none' {
    return this.getAttribute('scale') === 'none' ? 'none' : 'fit'
  }
  set scale(scale: 'fit' | 'none') {
    this.setAttribute('scale', scale)
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

  override connectedCallback(): void {
    this.#stage.id ||= 'oriel-spice-screen'
    if (this.#stage.parentNode !== this) this.append(this.#stage)
    this.#resized.observe(this)
    this.#redrawn.observe(this.#stage, { childList: true })
    this.#listen()
    super.connectedCallback()
  }

  override disconnectedCallback(): void {
    this.#resized.disconnect()
    this.#redrawn.disconnect()
    super.disconnectedCallback()
  }

  override focus(options?: FocusOptions): void {
    if (this.state === 'connected') this.#stage.focus(options)
    else super.focus(options)
  }

  /** As `OrielVnc.sendKeys`. */
  async sendKeys(...keys: string[]): Promise<void> {
    await (await this.#typist()).press(keys)
  }

  /** As `OrielVnc.typeText`, at a fixed pace, because the lights of the machine's keyboard are not known. */
  async typeText(text: string, options: TypeOptions = {}): Promise<Typed> {
    return (await this.#typist()).type(text, options)
  }

  /** As `OrielVnc.screenshot`. */
  async screenshot(type = 'image/png'): Promise<Blob> {
    const screen = this.state === 'connected' ? this.#screen() : null
    const picture = await new Promise<Blob | null>((done) => (screen === null ? done(null) : screen.toBlob(done, type)))
    if (picture === null) throw new Error(screenText('error.no-picture'))
    return picture
  }

  async #typist(): Promise<Typist> {
    this.#requireInput()
    const { Typist } = await loadPart(() => import('./vnc/typist.ts'))
    this.#keys ??= new Typist({
      bufferedBytes: 0,
      sendKey: (_, code, down) => {
        this.#requireInput()
        if (code !== null) this.session?.sendKey(code, down)
      },
      releaseKeys: () => this.#keyboard.releaseAll(),
    })
    return this.#keys
  }

  #requireInput(): void {
    if (this.state !== 'connected') throw new Error(t('error.not-connected'))
    if (this.viewOnly) throw new Error(t('error.view-only'))
  }

  /** Presses and releases Ctrl+Alt+Del. */
  sendCtrlAltDel(): void {
    this.#keyboard.releaseAll()
    this.#keyboard.chord(['ControlLeft', 'AltLeft', 'Delete'])
  }

  protected override openSession(to: ConsoleAddress, events: SessionEvents): SpiceSession {
    // Keys that were held when the last session ended are up in the new one.
    this.#keyboard.releaseAll()
    return openSpiceSession(this.#stage, to, () => this.#load(), events)
  }

  #load(): Promise<SpiceLibrary> {
    const library = this.getAttribute('library')
    if (library === null && OrielSpice.loadLibrary !== undefined) return OrielSpice.loadLibrary()
    const address = new URL(library ?? '', document.baseURI).href
    // Bundlers must leave this import alone: its address is the page's.
    return import(/* @vite-ignore */ /* webpackIgnore: true */ address)
  }

  /** Each of its channels is a session of its own. */
  protected override get sharesControl(): boolean {
    return false
  }

  protected override leave(): void {
    this.#stage.blur()
  }

  protected override applySettings(): void {
    this.#stage.inert = this.viewOnly || this.state !== 'connected'
    this.#stage.setAttribute('aria-label', screenText('screen'))
    this.#scaleScreen()
  }

  protected override still(): HTMLCanvasElement | undefined {
    const screen = this.#screen()
    if (screen === null) return undefined
    const still = stillOf(screen)
    const { width, height } = screen.getBoundingClientRect()
    still.style.width = `${width}px`
    still.style.height = `${height}px`
    return still
  }

  #screen(): HTMLCanvasElement | null {
    return this.#stage.querySelector('canvas')
  }

  // Listeners that are already there are not added again when the element moves in the document.
  #listen(): void {
    this.#stage.addEventListener('keydown', this.#onKey)
    this.#stage.addEventListener('keyup', this.#onKey)
    this.#stage.addEventListener('blur', this.#onBlur)
    // In the capturing phase: the library keeps the browser from moving the focus.
    this.#stage.addEventListener('mousedown', this.#onMouseDown, { capture: true })
  }

  readonly #onKey = (event: KeyboardEvent) => {
    const known = event.type === 'keydown' ? this.#keyboard.press(event) : this.#keyboard.release(event)
    if (known) event.preventDefault()
  }

  readonly #onBlur = () => this.#keyboard.releaseAll()

  readonly #onMouseDown = () => this.focus({ preventScroll: true })

  #prepare(): void {
    this.#screen()?.removeAttribute('tabindex')
    // The library positions its videos with a `style` attribute, which a strict Content-Security-Policy ignores.
    for (const video of this.#stage.querySelectorAll('video')) video.style.cssText = video.getAttribute('style') ?? ''
    this.#scaleScreen()
    this.#reportSize()
  }

  #reportSize(): void {
    const { width = 0, height = 0 } = this.#screen() ?? {}
    const resolution = `${width}×${height}`
    if (width === 0 || resolution === this.#resolution) return
    this.#resolution = resolution
    this.emit('resize', { width, height })
  }

  /** Scales with a transform, because the library reads mouse positions in the canvas's own pixels. */
  #scaleScreen(): void {
    const screen = this.#screen()
    if (screen === null || screen.width === 0) return
    const fitted = Math.min(this.clientWidth / screen.width, this.clientHeight / screen.height)
    const scale = this.scale === 'fit' ? fitted : 1
    const margin = (room: number, size: number) => Math.max(0, Math.round((room - size * scale) / 2))
    const [x, y] = [margin(this.clientWidth, screen.width), margin(this.clientHeight, screen.height)]
    screen.style.cssText = `display:block;outline:none;transform-origin:0 0;transform:translate(${x}px,${y}px) scale(${scale})`
    // The library sets the stage's height to that of the screen.
    this.#stage.style.height = '100%'
    this.#stage.style.overflow = this.scale === 'fit' ? 'hidden' : 'auto'
  }
}

/**
 * Creates the element into which the library puts its canvas. It has the focus and the keys: the canvas is replaced at each
 * change of the screen's size, and the library sends keys by their characters.
 */
function createStage(): HTMLDivElement {
  const stage = document.createElement('div')
  stage.tabIndex = 0
  stage.style.outline = 'none'
  stage.setAttribute('role', 'application')
  stage.setAttribute('aria-label', screenText('screen'))
  // The library focuses each new canvas, and the canvas under the mouse, even while its user types elsewhere.
  stage.appendChild = (node) => {
    if (node instanceof HTMLCanvasElement) node.focus = () => {}
    return Node.prototype.appendChild.call(stage, node) as typeof node
  }
  return stage
}

type AllEvents = Omit<HTMLElementEventMap, keyof OrielSpiceEventMap> & OrielSpiceEventMap
type Listener = EventListenerOrEventListenerObject

declare global {
  interface HTMLElementTagNameMap {
    'oriel-spice': OrielSpice
  }
}

if (customElements.get('oriel-spice') === undefined) customElements.define('oriel-spice', OrielSpice)
