/** What the list shows of machines and their sessions. The members are those of Oriel's API. */
import type { ConsoleRole, OpenableConsoleType } from '@oriel/contract'

export interface ServerRow {
  readonly id: string
  readonly name: string
  /** Nova's status, such as `ACTIVE` or `SHUTOFF`. */
  readonly status: string
  /** The types of its consoles; `null` if the API does not know them. */
  readonly consoles: readonly OpenableConsoleType[] | null
  /** Why none of its consoles can be opened now; `null` if they can. */
  readonly unavailable: 'off' | 'building' | 'moving' | 'deleting' | null
  /** Since when its hypervisor does not answer (ISO 8601); `null` if it does. */
  readonly unanswered_since: string | null
}

/** A page of the list of machines. */
export interface ServerPage {
  readonly servers: readonly ServerRow[]
  /** How many machines match search and status. */
  readonly total: number
  /** How many machines match the search with each status. */
  readonly statuses: readonly { readonly status: string; readonly servers: number }[]
  readonly may: {
    /** The roles with which the user may open consoles. */
    readonly open: readonly ConsoleRole[]
    readonly list_sessions: boolean
    readonly end_sessions: boolean
    /** Absent: the API has no screenshots. */
    readonly show_screenshots?: boolean
  }
}

/** An open session, as the list shows it. */
export interface SessionRow {
  readonly id: string
  readonly server_id: string
  readonly user_id: string
  readonly label?: string | null
  readonly role?: ConsoleRole
  readonly type: string
  readonly client_address: string
  /** ISO 8601. */
  readonly started_at: string
}
