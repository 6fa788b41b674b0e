/**
 * Console type `webmks`: VMware's MKS protocol in WebSocket frames. Where the connect info has an internal access path,
 * the host is first asked for it with CONNECT, as Nova's proxy does; from the byte after its answer's header on, the
 * two sides talk to each other.
 */
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import { type Console, type HandshakeLimits, type Handshaken, noHandshake } from './console.ts'
import { NO_WEBSOCKET } from './protocol-guard.ts'

/** The answer's status line and header together; hosts send a few hundred bytes. */
const MAX_HEADER_BYTES = 8192
const HEADER_END = '\r\n\r\n'

export const webmks: Console = {
  subprotocols: ['binary'],
  acceptsText: false,
  secure: async (hypervisor, limits, { admission: { internalAccessPath } }) => {
    if (internalAccessPath === undefined) return noHandshake()
    const request = connectRequest(internalAccessPath)
    const answer = readAnswer(hypervisor, limits)
    hypervisor.write(request)
    const { rest } = await answer
    // The answer to CONNECT distinguishes an MKS host from a VNC server, so MKS may begin as RFB does.
    return { rest, rule: NO_WEBSOCKET }
  },
  greet: noHandshake,
}

/**
 * Nova's request, byte for byte: the path is the host's own text, often JSON with blanks in it, so it is not encoded.
 * @throws Refused when it would end the request line
 */
export function connectRequest(path: string): Buffer {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(path)) {
    throw new Refused('console_unreachable', 'the internal access path has control characters')
  }
  return Buffer.from(`CONNECT ${path} HTTP/1.1\r\n\r\n`)
}

/** Resolves at the end of a good answer's header. The leg is paused then, and the bytes after the header are kept as the rest. */
async function readAnswer(hypervisor: HypervisorSocket, { timeoutMs, signal }: HandshakeLimits): Promise<Handshaken> {
  const { promise, resolve, reject } = Promise.withResolvers<Handshaken>()
  const timer = setTimeout(() => reject(timeout(timeoutMs)), timeoutMs)
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  hypervisor.ended.then((cause) => reject(unreachable('the connection ended in the CONNECT handshake', cause)))
  const header = new AnswerHeader()
  hypervisor.take((bytes) => {
    try {
      const rest = header.push(bytes)
      if (rest) resolve({ rest })
      return rest === undefined
    } catch (cause) {
      reject(cause)
      return false
    } finally {
      hypervisor.giveBack(bytes)
    }
  })
  if (signal.aborted) abort()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    hypervisor.pause()
  }
}

/** The header of the answer to CONNECT, in pieces of any size. */
export class AnswerHeader {
  #held = Buffer.alloc(0)

  /**
   * Takes a piece, and copies it. Gives what follows the header once it is complete.
   * @throws Refused as soon as the answer can no longer be a good one
   */
  push(piece: Uint8Array): Buffer | undefined {
    this.#held = Buffer.concat([this.#held, piece])
    const statusEnd = this.#held.indexOf('\r\n')
    if (statusEnd >= 0) checkStatus(this.#held.toString('latin1', 0, statusEnd))
    else checkBeginning(this.#held)
    const end = this.#held.indexOf(HEADER_END)
    const length = end < 0 ? this.#held.length : end + HEADER_END.length
    if (length > MAX_HEADER_BYTES) throw unreachable(`the answer to CONNECT has more than ${MAX_HEADER_BYTES} bytes`)
    return end < 0 ? undefined : this.#held.subarray(length)
  }
}

/** Parsed, not searched: "200" may stand anywhere in a refusal. */
function checkStatus(line: string): void {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line)?.[1]
  if (status === undefined) throw unreachable('the answer to CONNECT is not HTTP')
  if (status !== '200') throw unreachable(`CONNECT was answered with ${status}`)
}

function checkBeginning(held: Buffer): void {
  const expected = 'HTTP/1.'.slice(0, held.length)
  if (held.toString('latin1', 0, expected.length) !== expected) throw unreachable('the answer to CONNECT is not HTTP')
}

const unreachable = (detail: string, cause?: unknown) =>
  new Refused('console_unreachable', detail, cause === undefined ? {} : { cause })

const timeout = (timeoutMs: number) => new Refused('console_timeout', `no answer to CONNECT within ${timeoutMs} ms`)
