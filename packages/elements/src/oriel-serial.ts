/**
 * `<oriel-serial>`: the serial port of a machine as a terminal, in a page.
 *
 * It needs a browser: import this on the client side only.
 */
import { ConsoleElement } from './console-element.ts'
import type { ConsoleEventMap, SessionEvents } from './console-events.ts'
import { t } from './language/texts/elements.ts'
import { loadPart } from './load-part.ts'
import type { ConsoleAddress } from './page-key.ts'
import { plainLine } from './plain-line.ts'
import { bufferText } from './serial/buffer-text.ts'
import { keySequence, type SerialKey } from './serial/keys.ts'
import { cleanPaste, type PastedText } from './serial/pasted.ts'
import type { PasteOptions } from './serial/send-paste.ts'
import { openSerialSession, type SerialSession } from './serial/session.ts'
import { copySelection, createSerialTerminal, defaultFontSize, type SerialTerminal } from './serial/terminal.ts'

/** How long a port may print nothing before the element says so: a shell prints its prompt again when Enter is pressed. */
const silentAfterMs = 3_000

/** The events of `<oriel-serial>`. None of them bubbles. */
export interface OrielSerialEventMap extends ConsoleEventMap {
  /** The machine has set the terminal's title, as shells do. */
  titlechange: CustomEvent<{ title: string }>
  /** The terminal's number of columns or rows has changed. A serial port has no way to report that to the machine. */
  sizechange: CustomEvent<{ columns: number; rows: number }>
  /**
   * The user pastes a text that has control characters, which are taken out, or several lines while the shell has not enabled
   * bracketed paste, so that it would run each line. `preventDefault()` withholds the paste; call `paste()` to send it.
   */
  pastecheck: CustomEvent<PastedText>
  /** Whether the port has printed nothing since it was opened, some seconds ago. */
  silencechange: CustomEvent<{ silent: boolean }>
  bell: CustomEvent<null>
  /** A paste by the user has failed. */
  pastefailed: CustomEvent<{ text: string }>
}

/**
 * A serial console. It dials when it is in a document and has an address, and again whenever the address changes.
 *
 * | attribute | property | |
 * |---|---|---|
 * | `url` | `url` | the access URL as the API returns it, or a `ws:`/`wss:` URL |
 * | `path` | `path` | instead of `url`: a WebSocket path on the page's own host, such as `?token=…` |
 * | `view-only` | `viewOnly` | sends nothing |
 * | `screen-reader` | `screenReader` | screen readers announce the output, and find its lines |
 * | `reconnect` | `reconnect` | dials again by itself when the connection is lost: for about two minutes, or for as long as the proxy lets it come back |
 *
 * It shows as many columns and rows as fit, keeps 10,000 lines, copies with Ctrl+Shift+C and works with a
 * Content-Security-Policy without `'unsafe-inline'`.
 *
 * Sharing and style as of `<oriel-vnc>`; parts `overlay`, `card`, `action`.
 *
 * @example
 * ```html
 * <oriel-serial url="wss://console.example/?token=…" reconnect></oriel-serial>
 * ```
 */
export class OrielSerial extends ConsoleElement<SerialSession> {
  static override readonly observedAttributes = [...ConsoleElement.observedAttributes, 'view-only', 'screen-reader']

  readonly #stage = document.createElement('div')
  readonly #resized = new ResizeObserver(() => this.#fit())
  #terminal: SerialTerminal | undefined
  #pasting: Promise<void> = Promise.resolve()
  /** Keys that were typed during a paste. */
  #typedMeanwhile: Uint8Array[] | undefined
  #silence: ReturnType<typeof setTimeout> | undefined
  #isSilent = false
  #title = ''
  /** The address whose output the terminal shows; empty if it shows none. */
  #shown = ''

  constructor() {
    super()
    this.#stage.className = 'stage'
    this.root.prepend(this.#stage)
  }

  /** The title that the machine has set, in one line; empty before that. */
  get terminalTitle(): string {
    return this.#title
  }

  get columns(): number {
    return this.#terminal?.terminal.cols ?? 80
  }
  get rows(): number {
    return this.#terminal?.terminal.rows ?? 24
  }

  /**
   * The selected text, or the terminal's whole buffer if nothing is selected. Lines are those that the machine printed: one that was
   * wrapped at the margin is one line.
   */
  get text(): string {
    const terminal = this.#terminal?.terminal
    return terminal?.hasSelection() ? terminal.getSelection() : this.output
  }

  /** All output that the terminal keeps, as {@link OrielSerial.text} has it, whatever is selected. */
  get output(): string {
    return this.#terminal === undefined ? '' : bufferText(this.#terminal.terminal.buffer.active)
  }

  /** Like {@link OrielSerial.output}, with the escape sequences for its colours. */
  async colouredOutput(): Promise<string> {
    return (await this.#terminal?.tools())?.coloured() ?? ''
  }

  /** The size of the font in CSS pixels, from 8 to 32. Default: 14. */
  get fontSize(): number {
    return this.#terminal?.terminal.options.fontSize ?? defaultFontSize
  }
  set fontSize(pixels: number) {
    if (this.#terminal === undefined) return
    this.#terminal.terminal.options.fontSize = Math.min(32, Math.max(8, Math.round(pixels)))
    this.#fit()
  }

  get screenReader(): boolean {
    return this.hasAttribute('screen-reader')
  }
  set screenReader(on: boolean) {
    this.toggleAttribute('screen-reader', on)
  }

  /** Whether a selected text is copied at once. Default: no. */
  copyOnSelect = false

  /**
   * Selects the previous or next place of `text` in the output, and shows it. Case does not count. From the end of the
   * output the search goes on at its other end.
   * @returns whether the output has the text
   */
  async find(text: string, direction: 'previous' | 'next' = 'previous'): Promise<boolean> {
    return (await this.#terminal?.tools())?.find(text, direction) ?? false
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
    // Not in the constructor: a terminal measures its font, which only works in a document.
    this.#terminal ??= this.#createTerminal()
    this.#resized.observe(this.#stage)
    this.#fit()
    super.connectedCallback()
  }

  override disconnectedCallback(): void {
    this.#resized.disconnect()
    super.disconnectedCallback()
  }

  override focus(options?: FocusOptions): void {
    if (this.state === 'connected') this.#terminal?.terminal.textarea?.focus(options)
    else super.focus(options)
  }

  /** Presses a key. Cursor keys follow the mode that the machine has set. */
  pressKey(key: SerialKey): void {
    this.send(this.#bytesOf(key))
  }

  /**
   * Presses keys one after the other, by the names that `OrielVnc.sendKeys` takes: `Enter`, `Ctrl+C`, `Alt+x`, `F2`, `Shift+Tab`.
   * @throws TypeError if a terminal has no bytes for a key; then none is sent
   */
  async sendKeys(...keys: string[]): Promise<void> {
    const { chordSequence } = await loadPart(() => import('./serial/chords.ts'))
    this.send(keys.map((key) => chordSequence(key, (named) => this.#bytesOf(named))).join(''))
  }

  /** Sends `text` unchanged. Enter is `\r`. */
  send(text: string): void {
    this.#send(new TextEncoder().encode(text))
  }

  /**
   * Pastes `text`: takes control characters out, turns line ends into Enter, and marks the text as a paste if the shell has enabled
   * bracketed paste. Resolves with the text that was sent, once all of it has been. Keys that are typed meanwhile follow it.
   * @throws the reason of `options.signal`; Error when the console is not connected, is lost, or is under another participant's
   *   control
   */
  async paste(text: string, options: PasteOptions = {}): Promise<PastedText> {
    const clean = cleanPaste(text)
    const pasted = this.#pasting.then(() => this.#paste(clean.text, options))
    this.#pasting = pasted.catch(() => undefined)
    await pasted
    return clean
  }

  /**
   * Types `text`, whose lines run as they arrive: unlike `paste`, it never marks the text as a paste.
   * @returns the control characters that were left out
   * @throws as {@link OrielSerial.paste}
   */
  async typeText(text: string, options: Pick<PasteOptions, 'signal'> = {}): Promise<{ skipped: readonly string[] }> {
    const { signal } = options
    const { removed } = await this.paste(text, { marked: false, ...(signal !== undefined && { signal }) })
    return { skipped: removed }
  }

  /**
   * Removes all output except for the cursor's line.
   * @returns a function that brings the output back, above what was printed since; `undefined` if there was none
   */
  async clear(): Promise<(() => void) | undefined> {
    return (await this.#terminal?.tools())?.clear()
  }

  protected override openSession(to: ConsoleAddress, events: SessionEvents): SerialSession {
    const address = new URL(to.address)
    // The terminal still shows this console's output: the proxy must not replay it.
    if (this.#shown === to.console) address.searchParams.set('replay', '0')
    else this.#terminal?.reset()
    return openSerialSession(
      { ...to, address },
      {
        ...events,
        connect: () => {
          events.connect()
          if (this.#shown !== to.console) this.#silence = setTimeout(() => this.#setSilent(true), silentAfterMs)
        },
        end: (end) => {
          this.#setSilent(false)
          events.end(end)
        },
        output: (bytes) => {
          this.#setSilent(false)
          this.#shown = to.console
          this.#terminal?.write(bytes)
        },
      },
    )
  }

  protected override leave(): void {
    this.#terminal?.terminal.blur()
  }

  protected override applySettings(): void {
    if (this.#terminal === undefined) return
    const { options, textarea } = this.#terminal.terminal
    options.disableStdin = !this.sendsInput
    options.screenReaderMode = this.screenReader
    // Under the card the terminal would take the keys, with Tab.
    this.#stage.inert = this.state !== 'connected'
    textarea?.setAttribute('aria-label', t('terminal'))
  }

  #createTerminal(): SerialTerminal {
    const created = createSerialTerminal(this.root, this.#stage, {
      input: (bytes) => this.#send(bytes),
      paste: (text) => this.#pasteOfUser(text),
      title: (text) => {
        this.#title = plainLine(text)
        this.emit('titlechange', { title: this.#title })
      },
    })
    const { terminal } = created
    terminal.onSelectionChange(() => {
      if (this.copyOnSelect) void copySelection(terminal)
    })
    terminal.onResize(({ cols, rows }) => this.emit('sizechange', { columns: cols, rows }))
    terminal.onBell(() => this.emit('bell', null))
    terminal.textarea?.setAttribute('aria-label', t('terminal'))
    return created
  }

  #bytesOf(key: SerialKey): string {
    return keySequence(key, this.#terminal?.terminal.modes.applicationCursorKeysMode === true)
  }

  #setSilent(silent: boolean): void {
    clearTimeout(this.#silence)
    if (silent === this.#isSilent) return
    this.#isSilent = silent
    this.emit('silencechange', { silent })
  }

  #send(bytes: Uint8Array): void {
    if (!this.sendsInput) return
    if (this.#typedMeanwhile === undefined) this.session?.send(bytes)
    else this.#typedMeanwhile.push(bytes)
  }

  #pasteOfUser(text: string): void {
    if (!this.sendsInput || this.state !== 'connected') return
    const pasted = cleanPaste(text)
    const needsCheck = pasted.removed.length > 0 || (pasted.lines > 1 && !this.#isBracketed)
    const check = new CustomEvent('pastecheck', { detail: pasted, cancelable: true })
    if (needsCheck && !this.dispatchEvent(check)) return
    this.paste(text).catch((error: Error) => this.emit('pastefailed', { text: error.message }))
  }

  async #paste(text: string, options: PasteOptions): Promise<void> {
    const session = this.session
    if (session === undefined || this.state !== 'connected') throw new Error(t('error.not-connected'))
    this.#typedMeanwhile = []
    try {
      const { sendPaste } = await loadPart(() => import('./serial/send-paste.ts'))
      const target = {
        session,
        bracketed: options.marked !== false && this.#isBracketed,
        requireInput: () => this.#requireInput(),
      }
      await sendPaste(text, target, options)
    } finally {
      const typed = this.#typedMeanwhile
      this.#typedMeanwhile = undefined
      if (this.session === session) for (const bytes of typed) this.#send(bytes)
    }
  }

  #requireInput(): void {
    if (this.viewOnly) throw new Error(t('error.view-only'))
    if (!this.hasControl) throw new Error(t('error.no-control'))
  }

  get #isBracketed(): boolean {
    return this.#terminal?.terminal.modes.bracketedPasteMode === true
  }

  #fit(): void {
    if (this.#stage.clientWidth > 0 && this.#stage.clientHeight > 0) this.#terminal?.fit()
  }
}

type AllEvents = Omit<HTMLElementEventMap, keyof OrielSerialEventMap> & OrielSerialEventMap
type Listener = EventListenerOrEventListenerObject

declare global {
  interface HTMLElementTagNameMap {
    'oriel-serial': OrielSerial
  }
}

if (customElements.get('oriel-serial') === undefined) customElements.define('oriel-serial', OrielSerial)
