/** Pictures of the machines' screens in the list. Only those in view are loaded, once, and again when the user asks. */
import { t } from '../language/texts/list.ts'
import { setText } from './dom.ts'
import { LoadQueue } from './load-queue.ts'
import { noScreenText, screenTroubleText } from './screen-texts.ts'
import type { ServerRow } from './server-page.ts'
import { timeOf } from './status-words.ts'

/** Requests the picture of a machine's screen. */
export type LoadScreen = (id: string, signal: AbortSignal) => Promise<Blob>

/** As many as the API takes at once. */
const MAX_AT_ONCE = 2

/** The pictures of all rows. They share the limit of concurrent requests. */
export class Screens {
  readonly #load: LoadScreen
  readonly #queue = new LoadQueue(MAX_AT_ONCE)
  readonly #slots = new Map<Element, ScreenSlot>()
  readonly #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#slots.get(target)?.setInView(isIntersecting)
  })

  constructor(load: LoadScreen) {
    this.#load = load
  }

  /** Shows the slot of a machine, without a picture if it is not known to be in view. */
  show(element: HTMLElement, server: ServerRow): void {
    const slot =
      this.#slots.get(element) ?? new ScreenSlot(element, (id, signal, isWanted) => this.#ask(id, signal, isWanted))
    this.#slots.set(element, slot)
    element.hidden = false
    slot.update(server)
  }

  /** Loads the pictures that are in view, and from now on those that come into view. */
  start(): void {
    for (const element of this.#slots.keys()) this.#observer.observe(element)
  }

  /** Loads the pictures that are in view again, and the others when they come into view. */
  refresh(): void {
    for (const slot of this.#slots.values()) slot.refresh()
  }

  /** Hides the slot and releases its picture. */
  hide(element: HTMLElement): void {
    this.#observer.unobserve(element)
    this.#slots.get(element)?.clear()
    this.#slots.delete(element)
    element.hidden = true
  }

  #ask(id: string, signal: AbortSignal, isWanted: () => boolean): Promise<Blob | undefined> {
    return this.#queue.run(async () => (isWanted() ? this.#load(id, signal) : undefined))
  }
}

/** Waits for a turn, and resolves with `undefined` if the picture is not wanted any more by then. */
type AskForScreen = (id: string, signal: AbortSignal, isWanted: () => boolean) => Promise<Blob | undefined>

/** The place of a machine's picture: the picture, or a text instead of it. */
class ScreenSlot {
  readonly #element: HTMLElement
  readonly #ask: AskForScreen
  #server: ServerRow | undefined
  #isInView = false
  /** Whether what it shows is the result of the latest request of the user. */
  #isFresh = false
  #loading: AbortController | undefined
  #pictureUrl: string | undefined

  constructor(element: HTMLElement, ask: AskForScreen) {
    this.#element = element
    this.#ask = ask
  }

  update(server: ServerRow): void {
    this.#server = server
    const text = noScreenText(server)
    if (text === undefined) this.#loadIfNeeded()
    else this.#showInstead(text)
  }

  setInView(isInView: boolean): void {
    this.#isInView = isInView
    this.#loadIfNeeded()
  }

  refresh(): void {
    this.#isFresh = false
    this.#cancel()
    this.#loadIfNeeded()
  }

  clear(): void {
    this.#showInstead('')
  }

  #showInstead(text: string): void {
    this.#cancel()
    this.#isFresh = false
    this.#showText(text)
  }

  #cancel(): void {
    this.#loading?.abort()
    this.#loading = undefined
    this.#element.ariaBusy = 'false'
  }

  #loadIfNeeded(): void {
    const server = this.#server
    if (!server || !this.#isInView || this.#isFresh || this.#loading || noScreenText(server) !== undefined) return
    void this.#load(server)
  }

  async #load(server: ServerRow): Promise<void> {
    const mine = new AbortController()
    this.#loading = mine
    this.#element.ariaBusy = 'true'
    if (this.#pictureUrl === undefined) this.#showText(t('screens.loading'))
    const isMine = () => mine === this.#loading
    const show = await this.#ask(server.id, mine.signal, () => isMine() && this.#isInView).then(
      (picture) => picture && (() => this.#showPicture(picture, server)),
      (error: unknown) => () => this.#showText(screenTroubleText(error)),
    )
    if (!isMine()) return
    this.#cancel()
    this.#isFresh = show !== undefined
    if (show) show()
    else if (this.#pictureUrl === undefined) this.#showText('')
  }

  #showPicture(picture: Blob, server: ServerRow): void {
    const image = document.createElement('img')
    const now = timeOf(new Date().toISOString())
    const url = URL.createObjectURL(picture)
    image.src = url
    image.alt = t('screens.screen-of', { name: server.name || server.id, time: now })
    const time = document.createElement('span')
    time.textContent = now
    time.ariaHidden = 'true'
    this.#replace([image, time], url)
  }

  #showText(text: string): void {
    const shown = this.#element.firstElementChild
    const paragraph = shown instanceof HTMLParagraphElement ? shown : document.createElement('p')
    setText(paragraph, text)
    // A long text is cut.
    paragraph.title = text
    if (paragraph !== shown) this.#replace([paragraph], undefined)
  }

  /** Replaces the content, and releases the picture that was shown. */
  #replace(content: readonly HTMLElement[], pictureUrl: string | undefined): void {
    this.#element.replaceChildren(...content)
    if (this.#pictureUrl !== undefined) URL.revokeObjectURL(this.#pictureUrl)
    this.#pictureUrl = pictureUrl
  }
}
