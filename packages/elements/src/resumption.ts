/**
 * Comes back to a console without its token. While a console is open, the proxy gives its page tickets, each of which outlives
 * the last; after a loss the page dials with the latest. An older proxy gives none, and the page dials with its token again.
 */
import { RESUME_NAME, RESUME_PARAMETER, type ResumeAnswer, type ResumeRequest } from '@oriel/contract'

/**
 * Where an element keeps its ticket: in `memory`; also in the `tab`, so that a reload comes back; or in a `cookie` that no
 * script can read, which needs a page of the proxy itself, over TLS.
 */
export type TicketStore = 'memory' | 'tab' | 'cookie'

/** How long to wait before asking again, when another proxy than the console's has answered. */
const askAgainMs = 500
const maxAsks = 6
/** The shortest time between two tickets. */
const minRenewMs = 1_000
const askTimeoutMs = 10_000
const keyPrefix = 'oriel.resume.'

/** What to dial. */
export interface Dialled {
  readonly address: URL
  /** Absent: the address has the credential, or names the cookie that has it. */
  readonly ticket?: string
}

export interface ResumptionOptions {
  readonly store: TicketStore
  /** The tab's storage. Absent: the browser does not allow it. */
  readonly tab: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined
  /** Called with the handle of each ticket with which a reload of the page comes back, if the page's address names it. */
  readonly onReloadable: (handle: string) => void
  readonly fetch?: typeof fetch
  /** The present, milliseconds. */
  readonly now?: () => number
}

/** The ticket of one console. */
export class Resumption {
  readonly #options: Required<ResumptionOptions>
  #handle: string | undefined
  #ticket: string | undefined
  #validUntilMs = 0
  #open: AbortController | undefined

  constructor(options: ResumptionOptions) {
    this.#options = { fetch: (...of) => fetch(...of), now: Date.now, ...options }
  }

  /** Whether the page has a ticket that is valid as far as it knows. */
  get isValid(): boolean {
    return this.#handle !== undefined && this.#options.now() < this.#validUntilMs
  }

  /** Returns what to dial for the console's `address`: a ticket, if there is one, in place of the token. */
  dialled(address: URL): Dialled {
    const handle = this.#handle ?? address.searchParams.get(RESUME_PARAMETER) ?? ''
    const ticket = this.#ticket ?? this.#stored(handle)
    if (handle === '') return { address }
    const dialled = withoutCredential(address)
    if (ticket !== undefined) return { address: dialled, ticket }
    dialled.searchParams.set(RESUME_PARAMETER, handle)
    return { address: dialled }
  }

  /** Gets a ticket now, and new ones while the console is open. */
  opened({ address, pageKey }: { readonly address: URL; readonly pageKey: string }): void {
    this.closed()
    this.#open = new AbortController()
    void this.#renew(resumeUrl(address), pageKey, this.#open.signal)
  }

  /** Stops renewing: the console is closed. The latest ticket stays. */
  closed(): void {
    this.#open?.abort()
    this.#open = undefined
  }

  /** Forgets the ticket, because the proxy refused it. Returns whether there was one. */
  forget(): boolean {
    const had = this.#handle !== undefined
    if (this.#handle !== undefined) this.#options.tab?.removeItem(keyPrefix + this.#handle)
    this.#handle = undefined
    this.#ticket = undefined
    return had
  }

  async #renew(url: URL, pageKey: string, signal: AbortSignal): Promise<void> {
    let latest = await this.#ask(url, pageKey, signal)
    if (latest) this.#keep(latest)
    while (latest && !signal.aborted) {
      await pause(Math.max(minRenewMs, latest.expires_in_seconds * 250), signal)
      const next = await this.#ask(url, pageKey, signal)
      if (next === undefined) continue
      this.#keep(next)
      // The proxy bounds the last ticket: a new one would not live longer.
      if (Date.parse(next.expires_at) <= Date.parse(latest.expires_at)) return
      latest = next
    }
  }

  /** Asks until the proxy that has the console open answers: behind a balancer another one may get the request. */
  async #ask(url: URL, key: string, signal: AbortSignal): Promise<ResumeAnswer | undefined> {
    for (let asks = 0; asks < maxAsks && !signal.aborted; asks += 1) {
      const response = await this.#post(url, { key, cookie: this.#options.store === 'cookie' }, signal)
      if (signal.aborted) return undefined
      if (response?.ok) return (await response.json().catch(() => undefined)) as ResumeAnswer | undefined
      // Any other answer is that of an older proxy, or a refusal.
      if (response !== undefined && response.status !== 403) return undefined
      await pause(askAgainMs * 2 ** asks, signal)
    }
    return undefined
  }

  async #post(url: URL, request: ResumeRequest, signal: AbortSignal): Promise<Response | undefined> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)])
    try {
      // Text, because a JSON content type would need another request from a page of another origin.
      return await this.#options.fetch(url, { method: 'POST', body: JSON.stringify(request), signal: limit })
    } catch {
      return undefined
    }
  }

  #keep({ handle, ticket, expires_in_seconds }: ResumeAnswer): void {
    this.#handle = handle
    this.#ticket = ticket
    this.#validUntilMs = this.#options.now() + expires_in_seconds * 1000
    if (ticket === undefined || this.#storeInTab(handle, ticket)) this.#options.onReloadable(handle)
  }

  /** Returns whether a reload finds the ticket: browsers may refuse to store anything, such as for frames in other sites. */
  #storeInTab(handle: string, ticket: string): boolean {
    const { store, tab } = this.#options
    if (store === 'memory' || tab === undefined) return false
    try {
      tab.setItem(keyPrefix + handle, ticket)
      return true
    } catch {
      return false
    }
  }

  #stored(handle: string): string | undefined {
    return handle === '' ? undefined : (this.#options.tab?.getItem(keyPrefix + handle) ?? undefined)
  }
}

/** Returns a copy of `address` without token and handle. */
export function withoutCredential(address: URL): URL {
  const copy = new URL(address)
  copy.searchParams.delete('token')
  copy.searchParams.delete(RESUME_PARAMETER)
  return copy
}

/** Returns where to ask for tickets. Keeps the other parameters, because balancers may choose the proxy by them. */
export function resumeUrl(address: URL): URL {
  const url = new URL(RESUME_NAME, address)
  url.search = withoutCredential(address).search
  url.protocol = address.protocol === 'wss:' ? 'https:' : 'http:'
  return url
}

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
