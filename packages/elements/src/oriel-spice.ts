/**
 * `<oriel-spice>`: the screen, keyboard and mouse of a machine over SPICE. This package does not export it, because it
 * needs the files of spice-html5; `spice_auto.html` uses it. A page can hold only one.
 */
import { ConsoleElement, type ConsoleSession, type SessionEvents } from './console-element.ts'
import { stillOf } from './overlay.ts'
import type { ConsoleAddress } from './page-key.ts'
import { openSpiceSession, type SpiceLibrary } from './spice/session.ts'

/**
 * A SPICE console, like `<oriel-vnc>` but without clipboard and typing.
 *
 * | attribute | property | |
 * |---|---|---|
 * | `url`, `path`, `view-only`, `reconnect` | | as in `<oriel-vnc>` |
 * | `library` | | the address of spice-html5's `main.js`, relative to the page |
 * | `scale` | `scale` | `fit` or `none`. Default: `fit` |
 */
export class OrielSpice extends ConsoleElement<ConsoleSession> {
  static override readonly observedAttributes = [...ConsoleElement.observedAttributes, 'view-only', 'scale']

  readonly #stage = document.createElement('div')
  readonly #resized = new ResizeObserver(() => this.#scaleScreen())
  /** The library adds, removes and resizes its canvas by itself. */
  readonly #redrawn = new MutationObserver(() => this.#prepare())

  get scale(): 'fit' | 'none' {
    return this.getAttribute('scale') === 'none' ? 'none' : 'fit'
  }
  set scale(scale: 'fit' | 'none') {
    this.setAttribute('scale', scale)
  }

  override connectedCallback(): void {
    this.#stage.id ||= 'oriel-spice-screen'
    if (this.#stage.parentNode !== this) this.append(this.#stage)
    this.#resized.observe(this)
    this.#redrawn.observe(this.#stage, { childList: true })
    // Keep the library from moving the focus to its canvas whenever the mouse enters it.
    for (const type of ['mouseover', 'mouseout'])
      this.#stage.addEventListener(type, (event) => event.stopPropagation(), { capture: true })
    this.#stage.addEventListener('mousedown', () => this.focus(), { capture: true })
    super.connectedCallback()
  }

  override disconnectedCallback(): void {
    this.#resized.disconnect()
    this.#redrawn.disconnect()
    super.disconnectedCallback()
  }

  override focus(options?: FocusOptions): void {
    const screen = this.#screen()
    if (this.state === 'connected' && screen !== null) screen.focus(options)
    else super.focus(options)
  }

  /** Presses and releases Ctrl+Alt+Del. */
  sendCtrlAltDel(): void {
    const screen = this.#screen()
    const keys = [17, 18, 46]
    for (const keyCode of keys) screen?.dispatchEvent(keyEvent('keydown', keyCode, 17, 18))
    screen?.dispatchEvent(keyEvent('keyup', 46, 17, 18))
    screen?.dispatchEvent(keyEvent('keyup', 18, 17))
    screen?.dispatchEvent(keyEvent('keyup', 17))
  }

  protected override openSession(to: ConsoleAddress, events: SessionEvents): ConsoleSession {
    const library = new URL(this.getAttribute('library') ?? '', document.baseURI).href
    const load = () => import(/* @vite-ignore */ library) as Promise<SpiceLibrary>
    return openSpiceSession(this.#stage, to, load, events)
  }

  /** Each of its channels is a session of its own. */
  protected override get sharesControl(): boolean {
    return false
  }

  protected override leave(): void {
    this.#screen()?.blur()
  }

  protected override applySettings(): void {
    this.#stage.inert = this.viewOnly
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

  #prepare(): void {
    const screen = this.#screen()
    screen?.setAttribute('role', 'application')
    screen?.setAttribute('aria-label', 'Screen of the machine. Ctrl+Alt+Shift leaves it.')
    // The library positions its videos with a `style` attribute, which a strict Content-Security-Policy ignores.
    for (const video of this.#stage.querySelectorAll('video')) video.style.cssText = video.getAttribute('style') ?? ''
    this.#scaleScreen()
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

/** Creates a key event for the library, which reads only `keyCode` and the modifiers. */
function keyEvent(type: 'keydown' | 'keyup', keyCode: number, ...held: readonly number[]): KeyboardEvent {
  const init = { keyCode, ctrlKey: held.includes(17), altKey: held.includes(18), cancelable: true }
  return new KeyboardEvent(type, init)
}

declare global {
  interface HTMLElementTagNameMap {
    'oriel-spice': OrielSpice
  }
}

if (customElements.get('oriel-spice') === undefined) customElements.define('oriel-spice', OrielSpice)
