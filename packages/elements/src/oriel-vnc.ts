/**
 * `<oriel-vnc>`: the screen, keyboard and mouse of a machine, in a page.
 *
 * It needs a browser: noVNC touches the document when it is loaded, so import this on the client side only.
 */
import { ConsoleElement, type ConsoleEventMap, type ConsoleState, type SessionEvents } from './console-element.ts'
import { plainLine } from './console-end.ts'
import { stillOf } from './overlay.ts'
import type { ConsoleAddress } from './page-key.ts'
import { keystrokes, type NamedKey, namedKeys } from './vnc/keystrokes.ts'
import { openVncSession, type VncSession } from './vnc/session.ts'
import { press, type TypeOptions, type } from './vnc/typist.ts'

/**
 * `fit` scales the picture to the element, `none` shows it pixel by pixel, `remote` changes the machine's resolution.
 */
export type Scale = 'fit' | 'none' | 'remote'
export type VncState = ConsoleState

/** The events of `<oriel-vnc>`. None of them bubbles. */
export interface OrielVncEventMap extends ConsoleEventMap {
  desktopname: CustomEvent<{ name: string }>
  clipboard: CustomEvent<{ text: string }>
}

/**
 * A VNC console. It dials when it is in a document and has an address, and again whenever the address changes.
 *
 * | attribute | property | |
 * |---|---|---|
 * | `url` | `url` | the access URL as the API returns it, or a `ws:`/`wss:` URL |
 * | `path` | `path` | instead of `url`: a WebSocket path on the page's own host, such as `websockify?token=…` |
 * | `view-only` | `viewOnly` | sends neither keys nor mouse |
 * | `scale` | `scale` | {@link Scale}. Default: `fit` |
 * | `reconnect` | `reconnect` | dials again by itself when the connection is lost: for about two minutes, or for as long as the proxy lets it come back |
 *
 * Several people may share a console: {@link ConsoleElement.presence} says who is there, and `requestControl`, `giveControl`,
 * `takeControl` and `releaseControl` hand control over. If the proxy lets one viewer at a time control a console, a second one
 * sees who may take it over: the overlay has a button for that, and a page of your own calls `takeOver`.
 *
 * Style: custom properties `--oriel-accent`, `--oriel-surface`, `--oriel-ink`, `--oriel-muted`, `--oriel-line`,
 * `--oriel-scrim`, `--oriel-font`; parts `overlay`, `card`, `action`.
 *
 * @example
 * ```html
 * <oriel-vnc url="https://console.example/vnc_lite.html?path=%3Ftoken%3D…" reconnect></oriel-vnc>
 * ```
 */
export class OrielVnc extends ConsoleElement<VncSession> {
  static override readonly observedAttributes = [...ConsoleElement.observedAttributes, 'view-only', 'scale']

  readonly #stage = document.createElement('div')
  #typing: Promise<void> = Promise.resolve()
  #name = ''

  get scale(): Scale {
    const scale = this.getAttribute('scale')
    return scale === 'none' || scale === 'remote' ? scale : 'fit'
  }
  set scale(scale: Scale) {
    this.setAttribute('scale', scale)
  }

  /** The desktop name that the machine sent, in one line; empty before that. */
  get desktopName(): string {
    return this.#name
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
    if (this.#stage.parentNode !== this) this.append(this.#stage)
    super.connectedCallback()
  }

  override focus(options?: FocusOptions): void {
    if (this.state === 'connected') this.session?.rfb.focus(options)
    else super.focus(options)
  }

  sendCtrlAltDel(): void {
    this.session?.rfb.sendCtrlAltDel()
  }

  /** Presses and releases a non-character key. */
  pressKey(key: NamedKey): void {
    if (this.session !== undefined) press(namedKeys[key], this.session)
  }

  /** Sends `text` to the machine's clipboard. The machine ignores it unless it runs a clipboard agent. */
  sendClipboard(text: string): void {
    this.session?.rfb.clipboardPasteFrom(text)
  }

  /**
   * Types `text` as key events, about 30 per second. A second call begins when the first has finished.
   * @throws the reason of `options.signal`; Error when the console is not connected, is lost while typing, or is under
   *   another participant's control
   */
  typeText(text: string, options: TypeOptions = {}): Promise<void> {
    const typed = this.#typing.then(() => this.#type(text, options))
    this.#typing = typed.catch(() => undefined)
    return typed
  }

  async #type(text: string, options: TypeOptions): Promise<void> {
    const session = this.session
    if (session === undefined || this.state !== 'connected') throw new Error('The console is not connected.')
    this.#requireControl()
    await type(keystrokes(text), session, (ms) => this.#pauseWith(session, ms), options)
  }

  async #pauseWith(session: VncSession, ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms))
    if (this.session !== session) throw new Error('The console was lost while typing.')
    this.#requireControl()
  }

  #requireControl(): void {
    if (!this.hasControl) throw new Error('Another participant has control.')
  }

  protected override openSession(to: ConsoleAddress, events: SessionEvents): VncSession {
    return openVncSession(this.#stage, to, {
      ...events,
      desktopName: (name) => this.#named(name),
      clipboard: (text) => this.emit('clipboard', { text }),
    })
  }

  protected override leave(): void {
    this.session?.rfb.blur()
  }

  protected override applySettings(): void {
    const rfb = this.session?.rfb
    if (rfb === undefined) return
    rfb.viewOnly = !this.sendsInput
    rfb.scaleViewport = this.scale === 'fit'
    rfb.resizeSession = this.scale === 'remote'
    this.#labelScreen()
  }

  protected override still(): HTMLCanvasElement | undefined {
    const screen = this.#screen()
    return screen === null ? undefined : stillOf(screen)
  }

  #named(name: string): void {
    this.#name = plainLine(name)
    this.#labelScreen()
    this.emit('desktopname', { name: this.#name })
  }

  #screen(): HTMLCanvasElement | null {
    return this.#stage.querySelector('canvas')
  }

  // noVNC leaves its canvas out of the tab order and without an accessible name.
  #labelScreen(): void {
    const screen = this.#screen()
    if (screen === null) return
    screen.tabIndex = 0
    screen.setAttribute('role', 'application')
    screen.setAttribute('aria-label', `Screen of ${this.#name || 'the machine'}. Ctrl+Alt+Shift leaves it.`)
  }
}

type AllEvents = Omit<HTMLElementEventMap, keyof OrielVncEventMap> & OrielVncEventMap
type Listener = EventListenerOrEventListenerObject

declare global {
  interface HTMLElementTagNameMap {
    'oriel-vnc': OrielVnc
  }
}

if (customElements.get('oriel-vnc') === undefined) customElements.define('oriel-vnc', OrielVnc)
