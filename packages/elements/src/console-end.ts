/** Why a console ended, in words for the person in front of it. */
import { closeReason, closeReasons, type Remedy } from '@oriel/contract'

/** How one connection to a console ended: the detail of the element's `disconnect` event. */
export interface ConsoleEnd {
  /** WebSocket close code, or 0 if no connection was tried. */
  readonly code: number
  /** A sentence for people. It may come from the server: show it as text, never as markup. */
  readonly text: string
  /** What to do next: nothing, open the same address again, or ask for a new console. */
  readonly remedy: Remedy
  /** Whether the other side, or the person, closed it in good order. */
  readonly clean: boolean
}

/** What the browser tells about a WebSocket that closed; `opened` is whether the server had answered 101. */
export interface SocketEnd {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
  readonly opened: boolean
}

/** Ends that only the page sees. A browser does not say why a WebSocket failed to open, so neither can the page. */
export const localEnds = {
  did_not_open: {
    code: 1006,
    text: 'The console did not open: the address may have expired. Ask for a new one.',
    remedy: 'new-console',
  },
  no_answer: { code: 1006, text: 'The console did not answer in time.', remedy: 'reconnect' },
  connection_broke: { code: 1006, text: 'The connection to the console broke.', remedy: 'reconnect' },
  not_understood: {
    code: 1002,
    text: 'The machine sent something that this page does not understand.',
    remedy: 'none',
  },
  needs_password: {
    code: 1002,
    text: 'The machine asks for a console password, which is not supported.',
    remedy: 'none',
  },
  bad_address: { code: 0, text: 'This is not the address of a console.', remedy: 'new-console' },
} as const satisfies Record<string, Omit<ConsoleEnd, 'clean'>>

/** What to do next, as a sentence; empty when the reason says it all. */
export const advice = {
  none: '',
  reconnect: 'You can open it again.',
  'new-console': 'Go back to where you opened it and open a new console.',
} as const satisfies Record<Remedy, string>

/** A local end by its name. */
export const localEnd = (name: keyof typeof localEnds): ConsoleEnd => ({ ...localEnds[name], clean: false })

/** The end that the person asked for. */
export const closedByPerson = (): ConsoleEnd => ({ ...closeReasons.client_closed, clean: true })

/** Says a WebSocket's close event in words: ours from the catalogue, the server's own text for a code that is not ours. */
export function describeEnd({ code, reason, wasClean, opened }: SocketEnd): ConsoleEnd {
  if (!opened) return localEnd('did_not_open')
  // The server closed it, so of the two reasons with code 1000 only the machine's can be meant. 1005: no code was sent.
  const known = code === 1000 || code === 1005 ? closeReasons.console_closed : closeReason(code, reason)
  if (known !== undefined) return { code, text: known.text, remedy: known.remedy, clean: wasClean }
  if (reason !== '') return { code, text: plainLine(reason), remedy: 'reconnect', clean: wasClean }
  return { ...localEnds.connection_broke, code, clean: wasClean }
}

/**
 * `text` from a machine as one line that cannot disturb the page: no control or direction-changing characters, at most
 * `maxLength` UTF-16 units. Default: 200.
 */
export function plainLine(text: string, maxLength = 200): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line.length > maxLength ? `${line.slice(0, maxLength - 1)}…` : line
}
