/**
 * The ledger of sessions that an authority admitted: the open ones, and those that ended since the last acknowledged
 * report. An end stays in the ledger until it is acknowledged, so that it survives an outage of the authority.
 */
import {
  type CloseReasonName,
  closeReasons,
  type EndReason,
  type ExtensionBody,
  type ExtensionResponse,
} from '@oriel/contract'
import type { OpenSession, SessionRecord } from '../session/open-session.ts'
import { type ControlSpan, ControlSpans } from './control-spans.ts'

/** The report about the sessions, in the contract's form. */
export type LedgerReport = ExtensionBody<'beat'>
type Ended = LedgerReport['ended'][number]

export interface LedgerOptions {
  /** The maximum number of unacknowledged ends; the oldest are dropped first. Default: 100,000. */
  readonly maxEnded?: number
  /** The maximum number of ends in one report. Default: 10,000. */
  readonly maxEndedAtOnce?: number
  /** Called with each end that is dropped. */
  readonly dropped?: (ended: Ended) => void
}

const MAX_ENDED = 100_000
const MAX_ENDED_AT_ONCE = 10_000

interface Entry {
  readonly id: string
  session?: Pick<OpenSession, 'view' | 'end' | 'machineMoved'>
  /** Bytes of earlier connections of the same session. */
  toClient: number
  toConsole: number
  /** The reason with which to end the session as soon as it opens. */
  wanted?: CloseReasonName
  hasControl: boolean
  /** The span of control that is going on. */
  span?: ControlSpan | undefined
}

export class Ledger {
  readonly #open = new Map<string, Entry>()
  /** The oldest first. */
  readonly #ended = new Map<string, Ended>()
  readonly #spans = new ControlSpans()
  #takesControl = false
  readonly #options: LedgerOptions

  constructor(options: LedgerOptions = {}) {
    this.#options = options
  }

  /** Sessions that are open or about to open. */
  get size(): number {
    return this.#open.size
  }

  /** Records an admitted session. */
  admitted(id: string): SessionRecord {
    const entry: Entry = { id, toClient: 0, toConsole: 0, hasControl: false }
    this.#open.set(id, entry)
    return {
      id,
      opened: (session) => {
        opened(entry, session)
        this.#followControl(entry)
      },
      control: (hasControl) => {
        entry.hasControl = hasControl
        this.#followControl(entry)
      },
      ended: (reason, at = new Date()) => this.#end(entry, reason, at),
    }
  }

  /** Returns the open sessions, and the ended ones that are not acknowledged yet. */
  report(): LedgerReport {
    const ended = [...this.#ended.values()].slice(0, this.#options.maxEndedAtOnce ?? MAX_ENDED_AT_ONCE)
    const control = this.#takesControl ? this.#spans.report() : []
    return { open: [...this.#open.values()].map(countsOf), ended, ...(control.length > 0 && { control }) }
  }

  /** Removes the ends of a report that the authority has received. */
  acknowledge({ ended, control = [] }: LedgerReport): void {
    for (const { id } of ended) this.#ended.delete(id)
    this.#spans.acknowledge(control)
  }

  /**
   * Sets whether reports have the spans of control, which an older authority refuses. `undefined`: it is unknown, so they are
   * kept.
   */
  reportControl(takes: boolean | undefined): void {
    this.#takesControl = takes === true
    if (takes === false) this.#spans.clear()
  }

  /**
   * Ends the sessions that the authority names; one that is not open yet ends as soon as it opens. A session that follows its
   * machine to another host does not end because the machine has moved. Skips malformed entries: the client does not validate
   * the items of lists.
   */
  end(wanted: ExtensionResponse<'beat'>['end']): void {
    for (const each of wanted) {
      const entry = this.#open.get(each?.id)
      if (!entry || !isCloseReason(each.reason)) continue
      const { reason } = each
      if (reason === 'moved' && entry.session?.machineMoved?.()) continue
      entry.wanted = reason
      entry.session?.end({ reason, detail: 'the authority ended the session' })
    }
  }

  /** Starts or ends the session's span of control. */
  #followControl(entry: Entry, at = new Date()): void {
    const has = entry.hasControl && entry.session !== undefined && this.#open.get(entry.id) === entry
    if (has) entry.span ??= this.#spans.start(entry.id)
    else if (entry.span) this.#spans.end(entry.span, at)
    if (!has) entry.span = undefined
  }

  #end(entry: Entry, reason: EndReason, at: Date): void {
    if (!this.#open.delete(entry.id)) return
    this.#followControl(entry, at)
    this.#ended.set(entry.id, { ...countsOf(entry), ended_at: at.toISOString(), reason })
    const [oldest] = this.#ended.values()
    if (this.#ended.size <= (this.#options.maxEnded ?? MAX_ENDED) || !oldest) return
    this.#ended.delete(oldest.id)
    this.#options.dropped?.(oldest)
  }
}

const isCloseReason = (reason: unknown) => typeof reason === 'string' && Object.hasOwn(closeReasons, reason)

function opened(entry: Entry, session: Pick<OpenSession, 'view' | 'end' | 'machineMoved'>): void {
  const { bytes_to_client, bytes_to_console } = countsOf(entry)
  entry.toClient = bytes_to_client
  entry.toConsole = bytes_to_console
  entry.session = session
  if (entry.wanted) session.end({ reason: entry.wanted, detail: 'the authority ended the session before it opened' })
}

function countsOf({ id, session, toClient, toConsole }: Entry): LedgerReport['open'][number] {
  const { bytesToClient = 0, bytesToConsole = 0 } = session?.view ?? {}
  return { id, bytes_to_client: toClient + bytesToClient, bytes_to_console: toConsole + bytesToConsole }
}
