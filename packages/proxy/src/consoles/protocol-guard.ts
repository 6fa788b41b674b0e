/**
 * Keeps a console type that is relayed without parsing from carrying a protocol that identifies the guest. Nova does not
 * say which type a token is for, so a VNC token can be used at the address of serial consoles; the client could then speak
 * RFB through it without any check of the desktop name, and reach another guest that reuses the port.
 *
 * A protocol is recognised by the first bytes of each side: a VNC server greets with `RFB `, a SPICE server answers the client's
 * `REDQ` with its own, TLS begins with a handshake record. VNC and SPICE servers also take WebSockets on their ports, whose
 * frames hide those bytes; the handshake before them is HTTP.
 */
import type { Logger } from '@oriel/runtime'
import type { IdentitySetting } from '../hypervisor/config.ts'
import {
  ForwardingLeg,
  type HypervisorSocket,
  LegFault,
  observeLeg,
  type SecuredLeg,
  type SharedLeg,
  type TakeBytes,
} from '../hypervisor/leg.ts'

interface Protocol {
  readonly name: string
  /** The first bytes of a server. */
  readonly server: Buffer
  /** The first bytes of a client. */
  readonly client: Buffer
}

const NOTHING: Buffer = Buffer.alloc(0)

/** The protocols that identify the guest, or that may carry one that does. */
export const identifying = {
  // Without the blank: QEMU reads the client's version with sscanf, in which a blank also matches nothing.
  rfb: { name: 'RFB', server: Buffer.from('RFB '), client: Buffer.from('RFB') },
  spice: { name: 'SPICE', server: Buffer.from('REDQ'), client: Buffer.from('REDQ') },
  /** The record layer (RFC 8446 section 5.1); inside may be either of the others. */
  tls: { name: 'TLS', server: Buffer.of(0x16, 3), client: Buffer.of(0x16, 3) },
  /**
   * The handshake of a WebSocket (RFC 6455 section 4), as QEMU takes it with `-vnc …,websocket=…` and a SPICE server on its
   * only port; inside may be RFB or SPICE. A client need not wait for the answer, so its request must not pass either.
   */
  http: { name: 'HTTP', server: Buffer.from('HTTP/'), client: Buffer.from('GET ') },
} as const satisfies Record<string, Protocol>

/** The protocols that a console type may carry: only one, or all except some. */
export type ProtocolRule = { readonly only: Protocol } | { readonly never: readonly Protocol[] }

/** The rule for a type that carries arbitrary bytes, such as serial. */
export const NONE_THAT_IDENTIFIES: ProtocolRule = { never: Object.values(identifying) }

/** The rule for WebMKS after its CONNECT handshake: MKS may begin as RFB does. */
export const NO_WEBSOCKET: ProtocolRule = { never: [identifying.http] }

/**
 * Decorates a leg as the setting `hypervisor.identity` requires.
 * @param rest the first bytes of the server, if they were read already. Default: none
 */
export function carryingOnly(
  rule: ProtocolRule,
  leg: HypervisorSocket,
  identity: IdentitySetting,
  log: Logger,
  rest: Buffer = NOTHING,
): SecuredLeg {
  if (identity === 'off') return { hypervisor: leg, rest }
  if (identity === 'enforce') {
    const isForeign = typeof judgeProtocol(rule, 'server', rest) === 'object'
    return { hypervisor: guardProtocol(leg, rule, rest), rest: isForeign ? NOTHING : rest }
  }
  const warn = (detail: string) => log.warn({ detail }, 'this guest may not be the instance')
  return { hypervisor: watchProtocol(leg, rule, warn, rest), rest }
}

type Side = 'server' | 'client'
type Verdict = 'undecided' | 'fits' | { readonly foreign: string }

/** Judges the first bytes of one side. */
export function judgeProtocol(rule: ProtocolRule, side: Side, first: Buffer): Verdict {
  if ('only' in rule) {
    const begins = beginning(rule.only[side], first)
    if (begins === 'other') return { foreign: `the ${side} does not speak ${rule.only.name}` }
    return begins === 'whole' ? 'fits' : 'undecided'
  }
  const found = rule.never.map((protocol) => ({ protocol, begins: beginning(protocol[side], first) }))
  const foreign = found.find(({ begins }) => begins === 'whole')
  if (foreign) return { foreign: `the ${side} speaks ${foreign.protocol.name}` }
  return found.some(({ begins }) => begins === 'part') ? 'undecided' : 'fits'
}

/** Whether `first` begins with `signature`, may still become it, or is something else. */
function beginning(signature: Buffer, first: Buffer): 'whole' | 'part' | 'other' {
  const length = Math.min(signature.length, first.length)
  if (signature.compare(first, 0, length, 0, length) !== 0) return 'other'
  return length === signature.length ? 'whole' : 'part'
}

/** The length of the longest signature. */
const LONGEST = Math.max(...Object.values(identifying).flatMap(({ server, client }) => [server.length, client.length]))
/**
 * How long first bytes that may still become a signature are held back. If a serial console prints `R` and waits, the client
 * sees it after this time.
 */
const HOLD_MS = 100
/**
 * Ends the leg as `wrong_instance` if the server begins with a protocol that `rule` forbids, before a byte of it passes;
 * or as `protocol_error` if the client does before the server's first bytes have ruled that protocol out.
 *
 * Bytes that are held back pass after {@link HOLD_MS}, so a server that sends its greeting one byte a minute gets all but
 * the signature's last byte through. These are at most four known letters, the same from every guest; the byte that
 * completes them ends the session.
 *
 * @param read the bytes that the server sent before. Default: none
 */
export function guardProtocol(leg: HypervisorSocket, rule: ProtocolRule, read: Buffer = NOTHING): HypervisorSocket {
  return new ProtocolGuard(leg, rule, read)
}

/**
 * Fails the leg as `protocol_error` if its client begins with a protocol that `rule` forbids while the server is silent. For
 * a server that other clients are connected to as well, so that its first bytes may already be theirs.
 */
export function guardInput(leg: SharedLeg, rule: ProtocolRule): HypervisorSocket {
  return leg.silent ? new InputGuard(leg, rule) : leg
}

/** Relays everything, and calls `onForeign` once if either side begins with a protocol that `rule` forbids. */
export function watchProtocol(
  leg: HypervisorSocket,
  rule: ProtocolRule,
  onForeign: (detail: string) => void,
  read: Buffer = NOTHING,
): HypervisorSocket {
  let first = NOTHING
  const watch = (bytes: Buffer) => {
    first = Buffer.concat([first, bytes.subarray(0, LONGEST)])
    const verdict = judgeProtocol(rule, 'server', first)
    if (typeof verdict === 'object') onForeign(verdict.foreign)
    return verdict === 'undecided'
  }
  return watch(read) ? observeLeg(leg, watch) : leg
}

class InputGuard extends ForwardingLeg {
  readonly #shared: SharedLeg
  readonly #rule: ProtocolRule
  /** The client's first bytes, kept until they are judged. */
  #first: Buffer | undefined = NOTHING
  #isForeign = false

  constructor(leg: SharedLeg, rule: ProtocolRule) {
    super(leg)
    this.#shared = leg
    this.#rule = rule
  }

  override write(bytes: Uint8Array): boolean {
    if (!this.#shared.silent) this.#first = undefined
    if (this.#first) this.#judge(this.#first, bytes)
    return this.#isForeign || this.#shared.write(bytes)
  }

  #judge(before: Buffer, bytes: Uint8Array): void {
    const first = Buffer.concat([before, bytes.subarray(0, LONGEST)])
    const verdict = judgeProtocol(this.#rule, 'client', first)
    this.#first = verdict === 'undecided' ? first : undefined
    if (typeof verdict === 'string') return
    this.#isForeign = true
    this.#shared.fail(new LegFault('protocol_error', verdict.foreign))
  }
}

class ProtocolGuard extends ForwardingLeg {
  readonly #rule: ProtocolRule
  readonly #close: (cause: Error | undefined) => void
  #state: 'undecided' | 'open' | 'closed' = 'undecided'
  /** The first bytes of each side, kept until they are judged. */
  #fromServer = NOTHING
  #fromClient: Buffer | undefined = NOTHING
  /** Copies of the server's bytes that were not passed on yet. */
  #held = NOTHING
  /** Bytes that were passed on and do not belong to the leg's buffers. */
  readonly #copies = new Set<Buffer>()
  #timer: NodeJS.Timeout | undefined
  #overdue = false
  #taker: TakeBytes = () => false

  constructor(leg: HypervisorSocket, rule: ProtocolRule, read: Buffer) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    super(leg, promise)
    this.#close = resolve
    this.#rule = rule
    this.#judgeRead(read)
    leg.closed.then((cause) => {
      this.#release()
      this.#endWith(cause)
    })
  }

  #judgeRead(read: Buffer): void {
    this.#fromServer = read.subarray(0, LONGEST)
    const verdict = judgeProtocol(this.#rule, 'server', this.#fromServer)
    if (verdict === 'fits') this.#state = 'open'
    else if (verdict !== 'undecided') this.#endWith(new LegFault('wrong_instance', verdict.foreign))
  }

  override take(taker: TakeBytes): void {
    this.#taker = taker
    this.leg.take(this.#state === 'open' ? taker : (bytes) => this.#judge(bytes))
  }

  override giveBack(bytes: Buffer): void {
    if (!this.#copies.delete(bytes)) this.leg.giveBack(bytes)
  }

  override write(bytes: Uint8Array): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'undecided' && this.#fromClient && !this.#mayPass(this.#fromClient, bytes)) return true
    return this.leg.write(bytes)
  }

  /** Judges the client's first bytes. Ends the leg and returns `false` if they are forbidden. */
  #mayPass(before: Buffer, bytes: Uint8Array): boolean {
    const first = Buffer.concat([before, bytes.subarray(0, LONGEST)])
    const verdict = judgeProtocol(this.#rule, 'client', first)
    this.#fromClient = verdict === 'undecided' ? first : undefined
    if (typeof verdict === 'string') return true
    this.#endWith(new LegFault('protocol_error', verdict.foreign))
    return false
  }

  /** Judges the server's first bytes. Returns whether to continue reading. */
  #judge(bytes: Buffer): boolean {
    if (this.#state === 'closed') {
      this.leg.giveBack(bytes)
      return false
    }
    this.#fromServer = Buffer.concat([this.#fromServer, bytes.subarray(0, LONGEST)])
    const verdict = judgeProtocol(this.#rule, 'server', this.#fromServer)
    if (verdict === 'undecided') return this.#hold(bytes)
    if (verdict === 'fits') return this.#open(bytes)
    this.leg.giveBack(bytes)
    this.#endWith(new LegFault('wrong_instance', verdict.foreign))
    return false
  }

  #hold(bytes: Buffer): boolean {
    if (this.#overdue) return this.#taker(bytes)
    this.#held = Buffer.concat([this.#held, bytes])
    this.leg.giveBack(bytes)
    this.#timer ??= setTimeout(() => this.#release(), HOLD_MS)
    return true
  }

  #release(): void {
    clearTimeout(this.#timer)
    this.#overdue = true
    const held = this.#held
    if (held.length === 0 || this.#state === 'closed') return
    this.#held = NOTHING
    this.#copies.add(held)
    this.#taker(held)
  }

  #open(bytes: Buffer): boolean {
    this.#release()
    this.#state = 'open'
    this.#fromClient = undefined
    this.leg.take(this.#taker)
    return this.#taker(bytes)
  }

  #endWith(cause: Error | undefined): void {
    clearTimeout(this.#timer)
    if (this.#state === 'undecided') this.#state = 'closed'
    this.#held = NOTHING
    this.#close(cause)
  }
}
