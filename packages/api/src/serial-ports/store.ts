/** The port for the proxies that stay attached to serial ports, and for who views those ports. */

/** A proxy that stays attached to serial ports. */
export interface StandingProxy {
  readonly proxyId: string
  /** Equal for processes that share their ports: a viewer at one of them reads along a port that another one holds. */
  readonly group: string
}

/** An open session of a serial console. */
export interface SerialView {
  readonly serverId: string
  readonly proxyId: string
}

/** A question for the output of a server's serial port. */
export interface LogAsk {
  readonly serverId: string
  readonly askId: string
}

/** How long a question for output stays open. */
export const ASK_MS = 10_000

/** Every method throws `StoreUnavailable` while the database is unavailable. */
export interface SerialPortStore {
  /** Records that a proxy stays attached to serial ports. Counts as a report of the proxy. */
  stand(proxy: StandingProxy): Promise<void>
  /** Forgets that a proxy stays attached to serial ports. */
  leave(proxyId: string): Promise<void>
  /** Returns the standing proxies that reported within the last `silentMs`. */
  standing(silentMs: number): Promise<readonly StandingProxy[]>
  /** Returns the open sessions of serial consoles at proxies that reported within the last `silentMs`, oldest first. */
  viewed(silentMs: number): Promise<readonly SerialView[]>
  /** Asks for the output of a port. Callers that ask at the same time share a question. Forgets old questions and answers. */
  askLog(serverId: string): Promise<LogAsk>
  /** Returns the open questions, sorted by the server's id. */
  askedLogs(): Promise<readonly LogAsk[]>
  /** Whether a question is there, answered or not. */
  isAsked(ask: LogAsk): Promise<boolean>
  /** Answers a question. Returns whether it is open. */
  answerLog(ask: LogAsk, log: string): Promise<boolean>
  /** Returns the answer, and forgets it. `undefined` while it is missing, and after another caller has taken it. */
  takeLog(ask: LogAsk): Promise<string | undefined>
}
