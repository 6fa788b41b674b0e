/** The presence WebSocket of a page: sends the state of the console, and carries out the page's requests. */
import {
  type CloseReasonName,
  closeReasons,
  type PresenceConsoleRequest,
  type PresenceInvitationRequest,
  type PresenceMessage,
  type PresenceRequest,
  presenceRequest,
} from '@oriel/contract'
import { guardPeer, type Logger } from '@oriel/runtime'
import { Compile } from 'typebox/compile'
import type { RawData, WebSocket } from 'ws'
import type { RateLimit } from '../admit/rate-limit.ts'
import type { AttachedPage, PresencePage, PresenceView } from '../presence/shared-consoles.ts'
import type { Timing } from '../timing.ts'
import type { ConnectContext } from './context.ts'
import type { PageInvitations } from './page-invitations.ts'

/** The longest message of a page. */
export const MAX_REQUEST_BYTES = 4096
/** A page that has not read this much is dropped. */
const MAX_UNREAD_BYTES = 256 * 1024
/** The number of unanswered pings after which a page counts as lost. */
const MAX_UNANSWERED = 2
/** The longest type that is repeated to the page. */
const MAX_TYPE_LENGTH = 64

/** The longest `ref` that is repeated. */
const MAX_REF_LENGTH = 64

const requestCheck = Compile(presenceRequest)
const requestTypes: ReadonlySet<unknown> = new Set(presenceRequest.anyOf.map(({ properties }) => properties.type.const))

type PresenceDeps = Pick<ConnectContext, 'timing' | 'presenceRequests' | 'log'>

export class PresenceConnection implements PresencePage {
  readonly #timing: Timing
  readonly #session: string
  readonly #log: Logger
  readonly #requests: RateLimit
  readonly #invitations: PageInvitations | undefined
  #client: WebSocket | undefined
  #view: PresenceView | undefined
  #ending: CloseReasonName | undefined
  #latencyMs: number | null = null
  #pingedMs = 0
  #unanswered = 0

  /** @param invitations absent: the page may not invite */
  constructor({ timing, presenceRequests, log }: PresenceDeps, session: string, invitations?: PageInvitations) {
    this.#timing = timing
    this.#requests = presenceRequests
    this.#session = session
    this.#log = log
    this.#invitations = invitations
    if (invitations) invitations.onChange = () => this.#sendState()
  }

  /** Keeps the newest view until the WebSocket is open. */
  show(view: PresenceView): void {
    this.#view = view
    this.#sendState()
    this.#invitations?.seen(view)
  }

  end(reason: CloseReasonName): void {
    this.#ending ??= reason
    this.#close()
  }

  /**
   * @param resources disposed when the WebSocket closes
   * @param closing aborts when the proxy stops
   */
  open(client: WebSocket, attached: AttachedPage, resources: Disposable, closing: AbortSignal): void {
    this.#client = client
    const drop = () => client.terminate()
    closing.addEventListener('abort', drop, { once: true })
    const pings = this.#startPings(client)
    client.on('error', ignoreError)
    client.on('message', this.#reader(attached))
    client.once('close', () => {
      clearInterval(pings)
      closing.removeEventListener('abort', drop)
      resources[Symbol.dispose]()
    })
    this.#sendState()
    if (this.#ending) this.#close()
  }

  // Pings

  #startPings(client: WebSocket): NodeJS.Timeout | undefined {
    const { pingIntervalMs } = this.#timing
    client.on('pong', () => this.#answered())
    if (pingIntervalMs === 0) return undefined
    this.#ping(client)
    return setInterval(() => this.#ping(client), pingIntervalMs)
  }

  #ping(client: WebSocket): void {
    if (this.#unanswered >= MAX_UNANSWERED) client.terminate()
    else client.ping()
    this.#unanswered += 1
    this.#pingedMs = performance.now()
  }

  /** Ignores further pongs, which clients may send without a ping. */
  #answered(): void {
    if (this.#unanswered === 0) return
    this.#unanswered = 0
    const latencyMs = Math.round(performance.now() - this.#pingedMs)
    if (latencyMs === this.#latencyMs) return
    this.#latencyMs = latencyMs
    this.#sendState()
  }

  // Messages

  #reader(attached: AttachedPage): (data: RawData, isBinary: boolean) => void {
    return guardPeer(
      (data: RawData, isBinary: boolean) => {
        const request = isBinary ? undefined : parse(String(data))
        if (request) this.#carryOut(request, attached)
        else this.end('protocol_error')
      },
      (err) => this.#failed(err),
    )
  }

  #carryOut(request: { readonly type: string }, attached: AttachedPage): void {
    const objection = this.#objectionTo(request)
    if (isPing(request) && objection === undefined) this.#send({ type: 'pong' })
    else if (objection === undefined) this.#forward(request as PresenceRequest, attached)
    else this.#refuse(request, objection)
  }

  #forward(request: PresenceRequest, attached: AttachedPage): void {
    if (isAboutInvitations(request)) this.#forInvitations(request)
    else this.#forConsole(request, attached)
  }

  #forInvitations(request: PresenceInvitationRequest): void {
    this.#invitations?.answer(request).then(
      (message) => this.#send(message),
      (err) => this.#failed(err),
    )
  }

  #forConsole(request: PresenceConsoleRequest, attached: AttachedPage): void {
    Promise.resolve(attached.request(request)).then(
      (text) => text !== undefined && this.#refuse(request, text),
      (err) => this.#failed(err),
    )
  }

  #objectionTo(request: { readonly type: string }): string | undefined {
    if (this.#requests.take(this.#session)) return 'Too many requests. Try again in a moment.'
    if (isPing(request)) return undefined
    if (requestCheck.Check(request)) {
      return isAboutInvitations(request) && !this.#invitations ? 'You may not invite to this console.' : undefined
    }
    return requestTypes.has(request.type) ? 'The request is malformed.' : 'This proxy does not know this request.'
  }

  #refuse({ type, ref }: { readonly type: string; readonly ref?: unknown }, text: string): void {
    const isRef = typeof ref === 'string' && ref.length <= MAX_REF_LENGTH
    this.#send({ type: 'refused', request: type.slice(0, MAX_TYPE_LENGTH), ...(isRef ? { ref } : {}), text })
  }

  #failed(err: Error): void {
    this.#log.error({ session: this.#session, err }, "a page's presence failed with an unexpected error of the proxy")
    this.end('proxy_error')
  }

  #sendState(): void {
    if (this.#view) this.#send({ ...this.#view, latency_ms: this.#latencyMs, ...this.#invitations?.state })
  }

  #send(message: PresenceMessage): void {
    const client = this.#client
    if (client?.readyState !== client?.OPEN) return
    client?.send(JSON.stringify(message))
    if (client && client.bufferedAmount > MAX_UNREAD_BYTES) client.terminate()
  }

  #close(): void {
    const client = this.#client
    if (!client || !this.#ending) return
    const { code, text } = closeReasons[this.#ending]
    client.close(code, text)
    const timer = setTimeout(() => client.terminate(), this.#timing.closeTimeoutMs)
    client.once('close', () => clearTimeout(timer))
  }
}

const isAboutInvitations = (request: PresenceRequest): request is PresenceInvitationRequest =>
  request.type === 'invite' || request.type === 'revoke_invitation'

/** Parses a message. Returns `undefined` unless it is an object with a `type`. */
function parse(text: string): { readonly type: string } | undefined {
  try {
    const message: unknown = JSON.parse(text)
    return hasType(message) ? message : undefined
  } catch {
    return undefined
  }
}

const isPing = ({ type }: { readonly type: string }) => type === 'ping'

const hasType = (message: unknown): message is { readonly type: string } =>
  typeof message === 'object' && message !== null && 'type' in message && typeof message.type === 'string'

/** Ignores errors, since `close` follows: without a listener, a client that violates the protocol would end the process. */
const ignoreError = () => {}
