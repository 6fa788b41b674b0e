/**
 * The messages that a client sends after ClientInit: those of RFC 6143 section 7.5, and the extensions of the RFB community
 * specification that VNC servers announce. A new message is one line of {@link clientMessages}.
 *
 * The sizes are those by which QEMU, TigerVNC and libvncserver read the messages. A server that lacks an extension closes the connection
 * when it receives one of its messages, so no server reads on at another byte than the proxy does.
 */

/** The negotiated extensions that change the size of messages. */
export interface Negotiated {
  /** Whether the client has ever listed the pseudo-encoding ExtendedMouseButtons. */
  readonly extendedMouseButtons: boolean
  /** Whether the server is known to have ExtendedMouseButtons. */
  readonly serverHasMouseButtons: boolean
}

/**
 * Returns the size of the message that begins at `at`. `undefined` if the bytes begin no known message, or one whose size
 * only the server knows.
 */
type SizeOf = (bytes: Buffer, at: number, negotiated: Negotiated) => number | undefined

interface Size {
  /** The number of bytes, with the type, that the size depends on. */
  readonly headerBytes: number
  readonly sizeOf: SizeOf
}

export interface ClientMessage extends Size {
  readonly name: string
  /** Whether the guest may act on the message. The others only choose the picture that this client receives. */
  readonly isInput: boolean
  /** Whether the message presses and releases keys or buttons. */
  readonly isPressing: boolean
}

/** The maximum payload of a ClientFence. */
const MAX_FENCE_BYTES = 64
const MARKER_OF_EXTENDED_MOUSE = 0x80
const BIG_ENDIAN = 0x80
/** The sizes of QEMU's audio messages, by their operation: enable, disable, set the format. */
const qemuAudioSizes = [4, 4, 10]

const view = (name: string, size: Size): ClientMessage => ({ name, isInput: false, isPressing: false, ...size })
const input = (name: string, size: Size): ClientMessage => ({ name, isInput: true, isPressing: false, ...size })
const pressing = (name: string, size: Size): ClientMessage => ({ name, isInput: true, isPressing: true, ...size })
const fixed = (size: number): Size => ({ headerBytes: 1, sizeOf: () => size })
const sized = (headerBytes: number, sizeOf: SizeOf): Size => ({ headerBytes, sizeOf })

/** By the message's type, its first byte. */
export const clientMessages: Readonly<Record<number, ClientMessage>> = {
  0: view('SetPixelFormat', fixed(20)),
  2: view('SetEncodings', sized(4, setEncodingsSize)),
  3: view('FramebufferUpdateRequest', fixed(10)),
  4: pressing('KeyEvent', fixed(8)),
  5: pressing('PointerEvent', sized(2, pointerEventSize)),
  6: input('ClientCutText', sized(8, cutTextSize)),
  150: view('EnableContinuousUpdates', fixed(10)),
  248: view('ClientFence', sized(9, fenceSize)),
  250: input('xvp', fixed(4)),
  251: input('SetDesktopSize', sized(8, desktopSizeSize)),
  253: input('gii', sized(4, giiSize)),
  255: pressing('QEMU', sized(4, qemuSize)),
}

export const setPixelFormat = clientMessages[0]!
export const setEncodings = clientMessages[2]!
export const updateRequest = clientMessages[3]!
export const enableContinuousUpdates = clientMessages[150]!
export const clientFence = clientMessages[248]!

function setEncodingsSize(bytes: Buffer, at: number): number {
  return 4 + 4 * bytes.readUInt16BE(at + 2)
}

/**
 * The marker announces one more byte, but only to a server with the extension; any other reads six bytes. Unless the server has
 * announced it, the proxy does not know which: a client could use the difference to hide messages. Clients set the marker for
 * the buttons from the eighth on.
 */
function pointerEventSize(bytes: Buffer, at: number, negotiated: Negotiated): number | undefined {
  const hasMarker = (bytes[at + 1]! & MARKER_OF_EXTENDED_MOUSE) !== 0
  if (!hasMarker || !negotiated.extendedMouseButtons) return 6
  return negotiated.serverHasMouseButtons ? 7 : undefined
}

/** The extended clipboard uses the negative of its length. */
function cutTextSize(bytes: Buffer, at: number): number {
  return 8 + Math.abs(bytes.readInt32BE(at + 4))
}

function fenceSize(bytes: Buffer, at: number): number | undefined {
  const payload = bytes[at + 8]!
  return payload > MAX_FENCE_BYTES ? undefined : 9 + payload
}

function desktopSizeSize(bytes: Buffer, at: number): number {
  return 8 + 16 * bytes[at + 6]!
}

function giiSize(bytes: Buffer, at: number): number {
  const isBigEndian = (bytes[at + 1]! & BIG_ENDIAN) !== 0
  return 4 + (isBigEndian ? bytes.readUInt16BE(at + 2) : bytes.readUInt16LE(at + 2))
}

/** Sub-type 0 is an extended key event, sub-type 1 is audio. The shortest of them has four bytes. */
function qemuSize(bytes: Buffer, at: number): number | undefined {
  const subType = bytes[at + 1]
  if (subType === 0) return 12
  return subType === 1 ? qemuAudioSizes[bytes.readUInt16BE(at + 2)] : undefined
}
