/** The card over a console that is not connected: its texts and buttons in each state. */
import {
  type ConsoleEnd,
  finalWords,
  isSwitchedOff,
  isUnexplained,
  mayOpenAgain,
  mayTakeOver,
  waitingWords,
  wasTakenOver,
} from './console-end.ts'
import { t } from './language/texts/elements.ts'
import { createOverlay, type Overlay, type OverlayAction } from './overlay.ts'

/** After this time the card says that connecting takes long: the proxy may be waiting for a slow cloud. */
const slowAfterMs = 4_000

/** What the user may do after an end. */
export interface EndActions {
  readonly reconnect: () => void
  readonly takeOver: () => void
  /** Absent: the page cannot create consoles. */
  readonly newConsole?: () => void
}

export interface Waiting {
  /** Whether the console has been connected. */
  readonly wasConnected: boolean
  /** The last picture of the console, which stays visible under the card. Absent: that which is there. */
  readonly still: HTMLCanvasElement | undefined
  readonly retry: () => void
}

export class ConsoleCard {
  readonly #overlay: Overlay
  #slow: ReturnType<typeof setTimeout> | undefined

  constructor(root: ShadowRoot) {
    this.#overlay = createOverlay(root)
  }

  /**
   * Shows that the console is being dialled. `isAgain`: it has been connected before. `isSilent`: the card stays as it is,
   * unless the attempt takes long.
   */
  attempt({ isAgain, isSilent }: { readonly isAgain: boolean; readonly isSilent: boolean }): void {
    const text = t(isAgain ? 'reconnecting' : 'opening')
    clearTimeout(this.#slow)
    if (!isSilent) this.#overlay.show({ tone: 'busy', text })
    this.#slow = setTimeout(() => {
      this.#overlay.show({ tone: 'busy', text, advice: t('slow') })
    }, slowAfterMs)
  }

  /** Shows why the console is not connected, until the next attempt. */
  waiting(end: ConsoleEnd, { wasConnected, still, retry }: Waiting): void {
    const words = waitingWords(end, wasConnected)
    const text = isUnexplained(end) ? t('no-answer-yet') : words.text
    const isOff = isSwitchedOff(end)
    const now = { label: t(wasConnected && !isOff ? 'reconnect-now' : 'try-now'), act: retry }
    clearTimeout(this.#slow)
    if (still !== undefined) this.#overlay.showStill(still)
    this.#overlay.show({ tone: isOff ? 'off' : 'waiting', ...words, text, actions: [now] })
  }

  /** Shows why the console ended, and offers only what can work. */
  ended(end: ConsoleEnd, actions: EndActions): void {
    const words = finalWords(end)
    const advice = offersNewConsole(end, actions) ? '' : words.advice
    clearTimeout(this.#slow)
    this.#overlay.showStill(undefined)
    this.#overlay.show({ tone: 'ended', ...words, advice, actions: buttonsAfter(end, actions) })
  }

  get hasFocus(): boolean {
    return this.#overlay.hasFocus
  }

  focus(): void {
    this.#overlay.focus()
  }

  /** Uncovers the console. */
  clear(): void {
    clearTimeout(this.#slow)
    this.#overlay.hide()
    this.#overlay.showStill(undefined)
  }
}

function buttonsAfter(end: ConsoleEnd, actions: EndActions): readonly OverlayAction[] {
  const takeOver = { label: t('take-over'), act: actions.takeOver }
  if (wasTakenOver(end)) return [takeOver]
  if (offersNewConsole(end, actions)) return [{ label: t('new-console'), act: actions.newConsole }]
  if (!mayOpenAgain(end)) return []
  const label = t(end.remedy === 'new-console' || end.refusal !== undefined ? 'try-again' : 'reconnect')
  const again = { label, act: actions.reconnect }
  return mayTakeOver(end) ? [takeOver, again] : [again]
}

const offersNewConsole = ({ remedy }: ConsoleEnd, actions: EndActions): actions is Required<EndActions> =>
  actions.newConsole !== undefined && remedy === 'new-console'
