/**
 * `<oriel-vnc>`: the screen, keyboard and mouse of a machine, in a page.
 *
 * It needs a browser: noVNC touches the document when it is loaded, so import this on the client side only.
 */
import { ConsoleElement } from './console-element.ts'
import type { ConsoleEventMap, SessionEvents } from './console-events.ts'
import { t } from './language/texts/elements.ts'
import { t as screenText } from './language/texts/screens.ts'
import { loadPart } from './load-part.ts'
import { stillOf } from './overlay.ts'
import type { ConsoleAddress } from './page-key.ts'
import { plainLine } from './plain-line.ts'
import { openVncSession, type VncSession } from './vnc/session.ts'
import type { Typed, TypeOptions } from './vnc/typist.ts'

/**
 * `fit` scales the picture to the element, `none` shows it pixel by pixel, `remote` changes the machine's resolution.
 */
export type Scale = 'fit' | 'none' | 'remote'
/** How much a picture may lose to be smaller. The server decides what that means; QEMU compresses photographs as JPEG. */
export const qualities = ['high', 'medium', 'low'] as const
export type Quality = (typeof qualities)[number]

/** The events of `<oriel-vnc>`. None of them bubbles. */
export interface OrielVncEventMap extends ConsoleEventMap {
  desktopname: CustomEvent<{ name: string }>
  clipboard: CustomEvent<{ text: string }>
  /** The machine's resolution is known, or has changed. */
  resize: CustomEvent<{ width: number; height: number }>
  bell: CustomEvent<null>
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
 * | `quality` | `quality` | {@link Quality}. Default: `medium` |
 * | `drag` | `drag` | with `scale="none"`, dragging moves the picture; a click still clicks. A finger always does |
 * | `dot-cursor` | `dotCursor` | shows a dot where the machine shows no pointer |
 * | `reconnect` | `reconnect` | dials again by itself when the connection is lost: for about two minutes, or for as long as the proxy lets it come back |
 *
 * Several people may share a console: {@link ConsoleElement.presence} says who is there, and `requestControl`, `giveControl`,
 * `takeControl` and `releaseControl` hand control over. `invite` creates a link for somebody else, and `revokeInvitation` revokes it. If the proxy lets one viewer at a time control a console, a second one
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
  static override readonly observedAttributes = [
    ...ConsoleElement.observedAttributes,
    'view-only',
    'scale',
    'quality',
    'drag',
    'dot-cursor',
  ]

  readonly #stage = document.createElement('div')
  #name = ''

  get scale(): Scale {
    const scale = this.getAttribute('scale')
    return scale === 'none' || scale === 'remote' ? scale : 'fit'
  }
  set scale(scale: Scale) {
    this.setAttribute('scale', scale)
  }

  get quality(): Quality {
    const quality = this.getAttribute('quality')
    return qualities.find((name) => name === quality) ?? 'medium'
  }
  set quality(quality: Quality) {
    this.setAttribute('quality', quality)
  }

  get drag(): boolean {
    return this.hasAttribute('drag')
  }
  set drag(on: boolean) {
    this.toggleAttribute('drag', on)
  }

  get dotCursor(): boolean {
    return this.hasAttribute('dot-cursor')
  }
  set dotCursor(on: boolean) {
    this.toggleAttribute('dot-cursor', on)
  }

  /** The size of the machine's screen in pixels; 0 × 0 before the first picture. */
  get resolution(): { readonly width: number; readonly height: number } {
    const { width = 0, height = 0 } = this.#screen() ?? {}
    return { width, height }
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
    this.#stage.addEventListener('focusout', this.#releaseKeys)
    document.addEventListener('visibilitychange', this.#releaseKeys)
    for (const type of keyEvents) this.#stage.addEventListener(type, this.#keepOut, { capture: true })
    super.connectedCallback()
  }

  override disconnectedCallback(): void {
    this.#stage.removeEventListener('focusout', this.#releaseKeys)
    document.removeEventListener('visibilitychange', this.#releaseKeys)
    for (const type of keyEvents) this.#stage.removeEventListener(type, this.#keepOut, { capture: true })
    super.disconnectedCallback()
  }

  override focus(options?: FocusOptions): void {
    if (this.state === 'connected') this.session?.rfb.focus(options)
    else super.focus(options)
  }

  /** Presses and releases Ctrl+Alt+Del. */
  sendCtrlAltDel(): Promise<void> {
    return this.sendKeys('Control+Alt+Delete')
  }

  /**
   * Presses and releases keys one after the other, once the text that is being typed has ended. Each is a name of
   * `KeyboardEvent.key` or `.code`, a character, or several joined by `+`: `Escape`, `F12`, `Ctrl+Alt+F2`.
   * @throws TypeError if there is no key of a name; Error as `typeText` does
   */
  async sendKeys(...keys: string[]): Promise<void> {
    const typist = await this.#typist()
    await typist.press(keys)
  }

  /**
   * Sends `text` to the machine's clipboard. The machine ignores it unless it runs a clipboard agent.
   * @returns the characters that arrive as `?`, each once: a server without the extended clipboard takes only Latin-1
   * @throws Error when the console is not connected, or is under another participant's control
   */
  sendClipboard(text: string): { readonly replaced: readonly string[] } {
    const { rfb } = this.#connected()
    this.#requireControl()
    rfb.clipboardPasteFrom(text)
    return { replaced: rfb.hasUnicodeClipboard ? [] : beyondLatin1(text) }
  }

  /**
   * Returns the picture on the screen, in the machine's resolution.
   * @param type an image type that the browser can encode. Default: `image/png`
   * @throws Error when the console is not connected, or shows no picture
   */
  async screenshot(type = 'image/png'): Promise<Blob> {
    const { rfb } = this.#connected()
    const picture = await new Promise<Blob | null>((resolve) => rfb.toBlob(resolve, type))
    if (picture === null) throw new Error(screenText('error.no-picture'))
    return picture
  }

  /**
   * Reads the text on a text console, a boot menu or a firmware's screen. Lines have no blanks at their ends. A cell that shows
   * no known character is U+FFFD; the text of a graphical desktop is empty.
   * @throws Error when the console is not connected
   */
  async text(): Promise<string> {
    const picture = this.#connected().rfb.getImageData()
    const { textOf } = await loadPart(() => import('./vnc/screen-text.ts'))
    return textOf(picture)
  }

  /**
   * Types `text` on the keyboard layout that the machine has, no faster than the machine takes it. Resolves when it has taken
   * all, as the lights of its keyboard show: for that, texts of more than about five characters press Num Lock in between and
   * leave it as it was. If the machine does not report the lights, the pace is about 30 characters a second. Caps Lock is off
   * meanwhile. Keys that the user presses on the screen are not sent meanwhile. A second call begins when the first has
   * finished.
   * @returns the characters that were left out, with `untypable: 'skip'`
   * @throws UntypableError before the first key, if the layout lacks characters; TypeError for an unknown layout; GuestStalled
   *   if the machine takes no key for 30 s; the reason of `options.signal`; Error when the console is not connected, is lost
   *   while typing, or is under another participant's control. No key is down then.
   */
  async typeText(text: string, options: TypeOptions = {}): Promise<Typed> {
    const typist = await this.#typist()
    return typist.type(text, options)
  }

  async #typist() {
    const session = this.#connected()
    this.#requireControl()
    return session.typist()
  }

  #connected(): VncSession {
    if (this.session === undefined || this.state !== 'connected') throw new Error(t('error.not-connected'))
    return this.session
  }

  #requireControl(): void {
    if (!this.hasControl) throw new Error(t('error.no-control'))
  }

  /** The machine would repeat a key whose release goes elsewhere, or take the next keys for shortcuts. */
  readonly #releaseKeys = () => this.session?.rfb.releaseKeys()

  /** Keeps keys of the user out of a text that is being typed. */
  readonly #keepOut = (event: Event) => {
    if (!this.session?.isTyping) return
    event.stopPropagation()
    event.preventDefault()
  }

  protected override openSession(to: ConsoleAddress, events: SessionEvents): VncSession {
    return openVncSession(this.#stage, to, {
      ...events,
      desktopName: (name) => this.#named(name),
      clipboard: (text) => this.emit('clipboard', { text }),
      resize: (width, height) => this.emit('resize', { width, height }),
      bell: () => this.emit('bell', null),
      requireControl: () => this.#requireControl(),
    })
  }

  protected override leave(): void {
    this.session?.rfb.blur()
  }

  protected override applySettings(): void {
    const rfb = this.session?.rfb
    if (rfb === undefined) return
    // noVNC sends nothing any more once it is view-only, not even the releases of keys that are down.
    if (!this.sendsInput) rfb.releaseKeys()
    rfb.viewOnly = !this.sendsInput
    rfb.scaleViewport = this.scale === 'fit'
    rfb.resizeSession = this.scale === 'remote'
    // A finger moves a picture that is larger than the window; a tap still clicks. A mouse has scroll bars.
    const moves = this.scale === 'none' && (this.drag || matchMedia('(pointer: coarse)').matches)
    rfb.clipViewport = moves
    rfb.dragViewport = moves
    rfb.showDotCursor = this.dotCursor
    rfb.qualityLevel = levels[this.quality].quality
    rfb.compressionLevel = levels[this.quality].compression
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
    screen.setAttribute(
      'aria-label',
      this.#name === '' ? screenText('screen') : screenText('screen-of', { name: this.#name }),
    )
  }
}

/** The levels of Tight encoding, 0 to 9; `medium` has noVNC's own. */
const levels = {
  high: { quality: 9, compression: 2 },
  medium: { quality: 6, compression: 2 },
  low: { quality: 2, compression: 6 },
} as const satisfies Record<Quality, object>

const beyondLatin1 = (text: string) => [...new Set(text)].filter((character) => character > '\u00ff')

const keyEvents = ['keydown', 'keyup'] as const

type AllEvents = Omit<HTMLElementEventMap, keyof OrielVncEventMap> & OrielVncEventMap
type Listener = EventListenerOrEventListenerObject

declare global {
  interface HTMLElementTagNameMap {
    'oriel-vnc': OrielVnc
  }
}

if (customElements.get('oriel-vnc') === undefined) customElements.define('oriel-vnc', OrielVnc)
