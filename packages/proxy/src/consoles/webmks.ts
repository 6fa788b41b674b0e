/**
 * Console type `webmks`: VMware's MKS protocol in WebSocket frames. If the connect info has an internal access path, the
 * proxy first requests it from the host with CONNECT, as Nova's proxy does. It relays all bytes after the response header.
 */
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import { type Console, type HandshakeLimits, type Handshaken, noHandshake } from './console.ts'
import { NO_WEBSOCKET } from './protocol-guard.ts'

/** The maximum size of the response's status line and header. Hosts send a few hundred bytes. */
const MAX_HEADER_BYTES = 8192
const HEADER_END = '\r\n\r\n'

export const webmks: Console = {
  subprotocols: ['binary'],
  acceptsText: false,
  secure: async (hypervisor, limits, { admission: { internalAccessPath } }) => {
    if (internalAccessPath === undefined) return noHandshake()
    const request = connectRequest(internalAccessPath)
    const response = readResponse(hypervisor, limits)
    hypervisor.write(request)
    const { rest } = await response
    // A response to CONNECT distinguishes an MKS host from a VNC server, so MKS may begin as RFB does.
    return { rest, rule: NO_WEBSOCKET }
  },
  greet: noHandshake,
}

/**
 * Builds the same request as Nova. Does not encode the path: hosts expect it as they chose it, often JSON with blanks.
 * @throws Refused if the path has control characters, which could end the request line
 */
export function connectRequest(path: string): Buffer {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(path)) {
    throw new Refused('console_unreachable', 'the internal access path contains control characters')
  }
  return Buffer.from(`CONNECT ${path} HTTP/1.1\r\n\r\n`)
}

/** Reads the header of a successful response. Then pauses the leg, and returns the bytes after the header as the rest. */
async function readResponse(hypervisor: HypervisorSocket, { timeoutMs, signal }: HandshakeLimits): Promise<Handshaken> {
  const { promise, resolve, reject } = Promise.withResolvers<Handshaken>()
  const timer = setTimeout(() => reject(timeout(timeoutMs)), timeoutMs)
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  hypervisor.closed.then((cause) => reject(unreachable('the connection closed during the CONNECT handshake', cause)))
  const header = new ResponseHeader()
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

/** Parses the header of the response to CONNECT from pieces of any size. */
export class ResponseHeader {
  #held = Buffer.alloc(0)

  /**
   * Appends a copy of `piece`. Returns the bytes after the header once it is complete.
   * @throws Refused as soon as the response cannot be a successful one
   */
  push(piece: Uint8Array): Buffer | undefined {
    this.#held = Buffer.concat([this.#held, piece])
    const statusEnd = this.#held.indexOf('\r\n')
    if (statusEnd >= 0) checkStatus(this.#held.toString('latin1', 0, statusEnd))
    else checkBeginning(this.#held)
    const end = this.#held.indexOf(HEADER_END)
    const length = end < 0 ? this.#held.length : end + HEADER_END.length
    if (length > MAX_HEADER_BYTES)
      throw unreachable(`the response header to CONNECT has more than ${MAX_HEADER_BYTES} bytes`)
    return end < 0 ? undefined : this.#held.subarray(length)
  }
}

/** Parses the status line: a search for "200" would also find it in the text of a refusal. */
function checkStatus(line: string): void {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line)?.[1]
  if (status === undefined) throw unreachable('the response to CONNECT is not HTTP')
  if (status !== '200') throw unreachable(`CONNECT failed with status ${status}`)
}

function checkBeginning(held: Buffer): void {
  const expected = 'HTTP/1.'.slice(0, held.length)
  if (held.toString('latin1', 0, expected.length) !== expected) throw unreachable('the response to CONNECT is not HTTP')
}

const unreachable = (detail: string, cause?: unknown) =>
  new Refused('console_unreachable', detail, cause === undefined ? {} : { cause })

const timeout = (timeoutMs: number) => new Refused('console_timeout', `no response to CONNECT within ${timeoutMs} ms`)
