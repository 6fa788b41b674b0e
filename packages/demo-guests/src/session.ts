/**
 * One viewer of the demo guest: the server's side of RFB 3.3, 3.7 and 3.8 (RFC 6143) with security type None.
 *
 * The reader is a chain of steps. A step declares how many bytes it needs and returns the next step, so a message may arrive
 * in pieces of any size, and only the bytes of one step are buffered.
 */
import type { Socket } from 'node:net'
import { cursor } from './cursor.ts'
import type { Desktop } from './desktop.ts'
import { DirtyTiles } from './dirty-tiles.ts'
import { intersection, type Rect, union } from './picture.ts'
import { nativeFormat, type PixelWriter, pixelWriter, readPixelFormat, writePixelFormat } from './pixel-format.ts'

/** How long a viewer may take for the handshake. */
export const handshakeTimeoutMs = 30_000
/** The longest clipboard text. A longer one closes the connection. */
export const maxCutTextBytes = 256 * 1024
const keptCutTextBytes = 1024
const maxEncodings = 1024

const serverVersion = 'RFB 003.008\n'
const securityNone = 1
const rawEncoding = 0
const cursorPseudoEncoding = -239

/** Client message types (RFC 6143 section 7.5). */
const clientMessage = {
  setPixelFormat: 0,
  setEncodings: 2,
  framebufferUpdateRequest: 3,
  keyEvent: 4,
  pointerEvent: 5,
  clientCutText: 6,
} as const
type ClientMessage = (typeof clientMessage)[keyof typeof clientMessage]

interface Step {
  readonly needs: number
  take(bytes: Buffer): Step
}

/** Thrown when the viewer violates RFB. Closes only that viewer's connection. */
class ProtocolFault extends Error {}

/** Serves one viewer until either side disconnects. Does not throw: a fault of the viewer closes its socket. */
export function serveViewer(socket: Socket, desktop: Desktop): void {
  new Session(socket, desktop).start()
}

class Session {
  readonly #socket: Socket
  readonly #desktop: Desktop
  readonly #unseen: DirtyTiles
  #step: Step = this.#protocolVersion()
  #unread: Buffer = Buffer.alloc(0)
  #pixels: PixelWriter = pixelWriter(nativeFormat)
  #minor: 3 | 7 | 8 = 8
  /** The viewer's pending requests: an area to send at once, and one to send when it changes. */
  #wanted: { now?: Rect | undefined; changes?: Rect | undefined } = {}
  #takesCursor = false
  #cursorDue = false

  constructor(socket: Socket, desktop: Desktop) {
    this.#socket = socket
    this.#desktop = desktop
    this.#unseen = new DirtyTiles(desktop.picture.bounds)
  }

  start(): void {
    this.#socket.setNoDelay(true)
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('drain', () => this.#update())
    this.#socket.on('end', () => this.#socket.destroy())
    this.#limitHandshake()
    this.#socket.write(serverVersion)
  }

  #limitHandshake(): void {
    const timer = setTimeout(() => this.#socket.destroy(), handshakeTimeoutMs).unref()
    this.#socket.once('close', () => clearTimeout(timer))
    this.#socket.once('initialised', () => clearTimeout(timer))
  }

  #read(chunk: Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk])
    try {
      this.#takeSteps()
    } catch (cause) {
      if (!(cause instanceof ProtocolFault)) throw cause
      this.#refuse()
    }
  }

  /** Closes the connection after a pending reason is sent. Does not wait for a viewer that does not read. */
  #refuse(): void {
    this.#unread = Buffer.alloc(0)
    if (this.#socket.writableNeedDrain) this.#socket.destroy()
    else this.#socket.destroySoon()
  }

  #takeSteps(): void {
    while (this.#unread.length >= this.#step.needs && !this.#socket.writableEnded) {
      const bytes = this.#unread.subarray(0, this.#step.needs)
      this.#unread = this.#unread.subarray(this.#step.needs)
      this.#step = this.#step.take(bytes)
    }
  }

  // Handshake, RFC 6143 section 7.1 to 7.3.

  #protocolVersion(): Step {
    return {
      needs: serverVersion.length,
      take: (bytes) => {
        const minor = /^RFB 003\.(\d{3})\n$/.exec(bytes.toString('latin1'))?.[1]
        if (minor === undefined) throw new ProtocolFault('ProtocolVersion')
        // Section 7.1.1: versions that were never published are treated as 3.3.
        this.#minor = Number(minor) >= 8 ? 8 : Number(minor) === 7 ? 7 : 3
        return this.#offerSecurity()
      },
    }
  }

  #offerSecurity(): Step {
    if (this.#minor === 3) {
      this.#socket.write(u32(securityNone))
      return this.#clientInit()
    }
    this.#socket.write(Buffer.of(1, securityNone))
    return { needs: 1, take: ([type]) => this.#securityResult(type!) }
  }

  #securityResult(type: number): Step {
    if (type !== securityNone) {
      const reason = Buffer.from('Only security type None is offered')
      if (this.#minor === 8) this.#socket.write(Buffer.concat([u32(1), u32(reason.length), reason]))
      throw new ProtocolFault('security type')
    }
    // Section 7.1.3: before 3.8 there is no SecurityResult for None.
    if (this.#minor === 8) this.#socket.write(u32(0))
    return this.#clientInit()
  }

  #clientInit(): Step {
    return {
      needs: 1,
      take: () => {
        this.#watchDesktop()
        this.#socket.write(serverInit(this.#desktop))
        return this.#message()
      },
    }
  }

  #watchDesktop(): void {
    const { picture } = this.#desktop
    this.#unseen.mark(picture.bounds)
    const stopWatching = picture.onChange((area) => {
      this.#unseen.mark(area)
      this.#updateSoon()
    })
    const leave = this.#desktop.join()
    this.#socket.emit('initialised')
    this.#socket.once('close', () => {
      stopWatching()
      leave()
    })
  }

  // Messages from the viewer, RFC 6143 section 7.5.

  #message(): Step {
    return {
      needs: 1,
      take: ([type]) => {
        const step = this.#messages[type as ClientMessage]
        if (!step) throw new ProtocolFault('message type')
        return step
      },
    }
  }

  readonly #messages: Record<ClientMessage, Step> = {
    [clientMessage.setPixelFormat]: this.#fixed(19, (bytes) => this.#setPixelFormat(bytes.subarray(3))),
    [clientMessage.setEncodings]: { needs: 3, take: (bytes) => this.#encodings(bytes.readUInt16BE(1)) },
    [clientMessage.framebufferUpdateRequest]: this.#fixed(9, (bytes) =>
      this.#request(bytes[0] !== 0, rectAt(bytes, 1)),
    ),
    [clientMessage.keyEvent]: this.#fixed(7, (bytes) => this.#desktop.key(bytes[0] !== 0, bytes.readUInt32BE(3))),
    [clientMessage.pointerEvent]: this.#fixed(5, (bytes) =>
      this.#desktop.pointer(bytes[0]!, bytes.readUInt16BE(1), bytes.readUInt16BE(3)),
    ),
    [clientMessage.clientCutText]: { needs: 7, take: (bytes) => this.#cutText(bytes.readUInt32BE(3)) },
  }

  #fixed(needs: number, act: (bytes: Buffer) => void): Step {
    return {
      needs,
      take: (bytes) => {
        act(bytes)
        return this.#message()
      },
    }
  }

  #setPixelFormat(bytes: Buffer): void {
    try {
      this.#pixels = pixelWriter(readPixelFormat(bytes))
    } catch (cause) {
      throw new ProtocolFault('PIXEL_FORMAT', { cause })
    }
    this.#cursorDue = this.#takesCursor
  }

  #encodings(count: number): Step {
    if (count > maxEncodings) throw new ProtocolFault('too many encodings')
    return this.#fixed(count * 4, (bytes) => {
      const encodings = Array.from({ length: count }, (_, index) => bytes.readInt32BE(index * 4))
      this.#takesCursor = encodings.includes(cursorPseudoEncoding)
      this.#cursorDue = this.#takesCursor
    })
  }

  #request(incremental: boolean, asked: Rect): void {
    const area = intersection(asked, this.#desktop.picture.bounds)
    if (area.width === 0 || area.height === 0) return
    const kind = incremental ? 'changes' : 'now'
    const earlier = this.#wanted[kind]
    this.#wanted[kind] = earlier ? union(earlier, area) : area
    this.#update()
  }

  #cutText(length: number): Step {
    if (length > maxCutTextBytes) throw new ProtocolFault('ClientCutText is too long')
    const kept = Math.min(length, keptCutTextBytes)
    return {
      needs: kept,
      take: (bytes) => {
        this.#desktop.paste(bytes.toString('latin1'))
        return this.#discard(length - kept)
      },
    }
  }

  #discard(length: number): Step {
    if (length === 0) return this.#message()
    const now = Math.min(length, keptCutTextBytes)
    return { needs: now, take: () => this.#discard(length - now) }
  }

  // Updates to the viewer, RFC 6143 section 7.6.1.

  #updateQueued = false

  /** Sends one update for several areas that change together. */
  #updateSoon(): void {
    if (this.#updateQueued) return
    this.#updateQueued = true
    setImmediate(() => {
      this.#updateQueued = false
      this.#update()
    })
  }

  /** Sends the requested areas that have changed, unless the viewer has not read the previous update yet. */
  #update(): void {
    if (!this.#socket.writable || this.#socket.writableNeedDrain) return
    const { now, changes } = this.#wanted
    if (now) this.#unseen.seen(now)
    const areas = [...(now ? [now] : []), ...(changes ? this.#unseen.take(changes) : [])]
    const withCursor = this.#cursorDue && (now ?? changes) !== undefined
    if (areas.length === 0 && !withCursor) return
    this.#wanted = {}
    this.#cursorDue &&= !withCursor
    const rectangles = areas.map((area) => this.#rawRectangle(area))
    if (withCursor) rectangles.push(cursorRectangle(this.#pixels))
    this.#socket.write(Buffer.concat([framebufferUpdate(rectangles.length), ...rectangles]))
  }

  #rawRectangle(area: Rect): Buffer {
    return Buffer.concat([rectangleHeader(area, rawEncoding), this.#pixels.raw(this.#desktop.picture, area)])
  }
}

function serverInit(desktop: Desktop): Buffer {
  const { width, height } = desktop.picture
  const name = Buffer.from(desktop.name)
  const size = Buffer.alloc(4)
  size.writeUInt16BE(width, 0)
  size.writeUInt16BE(height, 2)
  return Buffer.concat([size, writePixelFormat(nativeFormat), u32(name.length), name])
}

function framebufferUpdate(rectangles: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(rectangles, 2)
  return bytes
}

function rectangleHeader({ x, y, width, height }: Rect, encoding: number): Buffer {
  const bytes = Buffer.alloc(12)
  ;[x, y, width, height].forEach((value, index) => {
    bytes.writeUInt16BE(value, index * 2)
  })
  bytes.writeInt32BE(encoding, 8)
  return bytes
}

/** The Cursor pseudo-encoding, section 7.8.1: the pixels, then a mask of one bit per pixel in whole bytes per row. */
function cursorRectangle(pixels: PixelWriter): Buffer {
  const area = { x: 0, y: 0, width: cursor.width, height: cursor.height }
  return Buffer.concat([rectangleHeader(area, cursorPseudoEncoding), pixels.raw(cursor, area), cursor.mask])
}

function rectAt(bytes: Buffer, offset: number): Rect {
  const [x, y, width, height] = [0, 2, 4, 6].map((at) => bytes.readUInt16BE(offset + at))
  return { x: x!, y: y!, width: width!, height: height! }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
