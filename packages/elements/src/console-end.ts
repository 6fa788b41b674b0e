/** Describes to the user why a console ended. */
import {
  closeReason,
  closeReasons,
  pageSubprotocol,
  REFUSALS_SUBPROTOCOL,
  type RefusalName,
  type Remedy,
  readRefusal,
  ticketSubprotocol,
} from '@oriel/contract'
import { elementTexts, t } from './language/texts/elements.ts'
import { translation } from './language/translate.ts'
import type { ConsoleAddress } from './page-key.ts'
import { plainLine } from './plain-line.ts'

/** How one connection to a console ended: the detail of the element's `disconnect` event. */
export interface ConsoleEnd {
  /** WebSocket close code, or 0 if no connection was tried. */
  readonly code: number
  /** An English sentence. It may come from the server: show it as text, never as markup. */
  readonly text: string
  /** What the user can do next: nothing, open the same address again, or request a new console. */
  readonly remedy: Remedy
  /** Whether the server or the user closed the connection with a closing handshake. */
  readonly clean: boolean
  /** The name in `docs/close-reasons.md` of the proxy's refusal to open the console; absent for every other end. */
  readonly refusal?: RefusalName
  /** Seconds to wait before the same address is opened again, if the proxy sent them. */
  readonly retryAfterSeconds?: number
  /** For `foreign_origin`: the page's origin, as an entry for the proxy's `origin.allowed`. */
  readonly allow?: string
  /** For `in_use`: who has the console, if its session has a label. */
  readonly by?: string
  /** For `in_use`: this session would only watch, so that it cannot take the console over. */
  readonly watches?: true
  /** For a console that could not be created: what `mint` rejected with. */
  readonly cause?: unknown
  /** The name of the reason, if a server on the way to the proxy is it. */
  readonly reason?: string
}

/** An end with its sentence in the language of the page, and whether the element dials again by itself: the detail of `disconnect`. */
export interface Disconnection extends ConsoleEnd {
  /** The name of the reason in `docs/close-reasons.md`, of an end that the page detected, or `closed` for a code of another server. */
  readonly reason: string
  readonly willRetry: boolean
}

/** Returns the name of an end's reason, see {@link Disconnection.reason}. */
export function reasonOf({ refusal, code, text, reason }: ConsoleEnd): string {
  const [name] = Object.entries({ ...closeReasons, ...localEnds }).find(([, reason]) => reason.text === text) ?? []
  // With this code the proxy sends another text.
  return reason ?? refusal ?? name ?? (code === closeReasons.taken_over.code ? 'taken_over' : 'closed')
}

/**
 * Returns the WebSocket subprotocols that every element offers: one for the console, one for receiving refusals, the key by
 * which the page names its session, and the ticket, if it has one.
 */
export const subprotocols = ({ pageKey, ticket }: Pick<ConsoleAddress, 'pageKey' | 'ticket'>): string[] => [
  ...['binary', REFUSALS_SUBPROTOCOL, pageSubprotocol(pageKey)],
  ...(ticket === undefined ? [] : [ticketSubprotocol(ticket)]),
]

/** Whether an open WebSocket carries a console. The proxy also opens one to send a refusal, and closes it at once. */
export const carriesConsole = ({ protocol }: Pick<WebSocket, 'protocol'>): boolean => protocol !== REFUSALS_SUBPROTOCOL

/** A WebSocket's close event. `opened`: whether the WebSocket carried a console. */
export interface SocketEnd {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
  readonly opened: boolean
}

/** Ends that the page detects by itself. A browser does not report why a WebSocket failed to open. */
export const localEnds = {
  did_not_open: {
    code: 1006,
    text: elementTexts['end.did_not_open'],
    remedy: 'new-console',
  },
  no_answer: { code: 1006, text: elementTexts['end.no_answer'], remedy: 'reconnect' },
  connection_lost: { code: 1006, text: elementTexts['end.connection_lost'], remedy: 'reconnect' },
  link_silent: { code: 1006, text: closeReasons.client_lost.text, remedy: 'reconnect' },
  unsupported_data: {
    code: 1002,
    text: elementTexts['end.unsupported_data'],
    remedy: 'none',
  },
  needs_password: {
    code: 1002,
    text: elementTexts['end.needs_password'],
    remedy: 'none',
  },
  not_created: { code: 0, text: elementTexts['end.not_created'], remedy: 'new-console' },
  not_loaded: { code: 0, text: elementTexts['end.not_loaded'], remedy: 'reconnect' },
  bad_address: { code: 0, text: elementTexts['end.bad_address'], remedy: 'new-console' },
} as const satisfies Record<string, Omit<ConsoleEnd, 'clean'>>

/** Returns the sentence of an end in the language of the page; that of the server if it names no reason that is known. */
export function sentenceOf(end: ConsoleEnd): string {
  const by = wasTakenOver(end) ? TOOK_OVER.exec(end.text)?.[1] : undefined
  if (by !== undefined && end.text !== closeReasons.taken_over.text) return t('took-over', { name: by })
  const key = end.refusal === undefined ? `end.${reasonOf(end)}` : `refusal.${end.refusal}`
  return translation(end.watches ? `${key}_watching` : key) ?? end.text
}

/** The sentence in which the proxy says who took a console over. */
const TOOK_OVER = /^(.+) took this console over\.$/

/** Returns what the user can do next. Empty where the reason suffices. */
export function adviceOf(remedy: Remedy): string {
  return remedy === 'none' ? '' : t(`advice.${remedy}`)
}

/** The text of the card that is shown after an end: what happened, and what to do next. */
export interface Words {
  readonly text: string
  readonly advice: string
  /** A line that the user may want to copy. */
  readonly code?: string
}

/** Returns the card's text for an end after which the user decides what to do. */
export function finalWords(end: ConsoleEnd): Words {
  const { text, rest } = sentences(end)
  if (wasTakenOver(end)) return { text, advice: t('advice.take-back') }
  if (end.by !== undefined) return { text: t('has-console', { name: plainLine(end.by, 64) }), advice: rest }
  if (end.allow !== undefined) return { text, advice: t('advice.allow'), code: `origin.allowed = ["${end.allow}"]` }
  // The proxy's advice is for all clients; the page's advice is more specific.
  return { text, advice: end.remedy === 'new-console' ? adviceOf('new-console') : rest || adviceOf(end.remedy) }
}

/** Returns the card's text for an end after which the element dials again. `before`: whether it has been connected. */
export function waitingWords(end: ConsoleEnd, before: boolean): Words {
  const { text, rest } = sentences(end)
  if (isSwitchedOff(end)) return { text, advice: t('advice.once-on') }
  const again = t(before ? 'reconnecting' : 'trying-again')
  return { text, advice: /[?？]$/.test(rest) ? `${rest} ${again}` : again }
}

/** Splits a refusal's text into its first sentence, which says what happened, and the `rest`, which says what to do. */
function sentences(end: ConsoleEnd): { text: string; rest: string } {
  const text = sentenceOf(end)
  const [, first, rest] = (end.refusal === undefined ? null : /^(.*?(?:\. |。))(.+)$/s.exec(text)) ?? []
  return first === undefined ? { text, rest: '' } : { text: first.trimEnd(), rest: rest! }
}

/** Whether another viewer took the console over. `text` then says who, if the proxy does. */
export const wasTakenOver = ({ code }: ConsoleEnd): boolean => code === closeReasons.taken_over.code

/** Whether the viewer may take the console over after this end, or take it back. A watcher would be refused again. */
export const mayTakeOver = (end: ConsoleEnd): boolean =>
  wasTakenOver(end) || (end.refusal === 'in_use' && end.watches !== true)

/** Whether it is not known why the console did not open. */
export const isUnexplained = ({ text }: ConsoleEnd): boolean => text === localEnds.did_not_open.text

/** Whether the machine is switched off. */
export const isSwitchedOff = ({ refusal, code }: Pick<ConsoleEnd, 'refusal' | 'code'>): boolean =>
  refusal === 'switched_off' || code === closeReasons.switched_off.code

/** Whether the proxy does not know the token, or no longer. */
export const isAddressDead = ({ refusal }: ConsoleEnd): boolean =>
  refusal === 'unknown_token' || refusal === 'missing_token'

/** Whether the same address may open the console after this end. The browser does not say why a WebSocket failed to open. */
export const mayOpenAgain = ({ remedy, code }: ConsoleEnd): boolean =>
  remedy !== 'new-console' || code === localEnds.did_not_open.code

/** Returns the local end with this name. */
export const localEnd = (name: keyof typeof localEnds): ConsoleEnd => ({ ...localEnds[name], clean: false })

/** Returns the end of a connection that the user closed. */
export const closedByPerson = (): ConsoleEnd => ({ ...closeReasons.client_closed, clean: true })

/**
 * Describes a WebSocket's close event: with the catalogue's text for a code of Oriel's, except that a proxy names the viewer who
 * took the console over; for other codes with the server's text.
 */
export function describeEnd({ code, reason, wasClean, opened }: SocketEnd): ConsoleEnd {
  if (!opened) return refusedEnd(code, reason) ?? localEnd('did_not_open')
  // Two reasons have code 1000. The server closed this connection, so it is the machine's. 1005: no code was sent.
  const known = code === 1000 || code === 1005 ? closeReasons.console_closed : closeReason(code, reason)
  // Only for this code does the proxy send more than the catalogue has: who took the console over.
  const sent = code === closeReasons.taken_over.code ? plainLine(reason) : ''
  if (known !== undefined) return { code, text: sent || known.text, remedy: known.remedy, clean: wasClean }
  if (reason !== '') return { code, text: plainLine(reason), remedy: 'reconnect', clean: wasClean }
  return { ...localEnds.connection_lost, code, clean: wasClean }
}

function refusedEnd(code: number, reason: string): ConsoleEnd | undefined {
  const refused = readRefusal(code, reason)
  return refused && { ...refused, text: plainLine(refused.text) || localEnds.did_not_open.text, clean: true }
}
