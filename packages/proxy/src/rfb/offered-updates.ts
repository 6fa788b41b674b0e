/** Decides by its encodings whether a client is one whose updates the proxy requests. */
import { CONTINUOUS_UPDATES, FENCE } from './wire/fences.ts'

/** The encodings that noVNC offers besides its levels of quality and compression. */
const ofNovnc: ReadonlySet<number> = new Set([
  // CopyRect, H.264, Tight, TightPNG, ZRLE, JPEG, Hextile, RRE, zlib, Raw
  ...[1, 50, 7, -260, 16, 21, 5, 2, 6, 0],
  // DesktopSize, LastRect, QEMU's extended key event and LED state, ExtendedDesktopSize, xvp, DesktopName
  ...[-223, -224, -258, -261, -308, -309, -307],
  // The extended clipboard, extended mouse buttons, the cursors of VMware and of RFC 6143
  ...[0xc0a1e5ce | 0, -316, 0x574d5664, -239],
  ...[FENCE, CONTINUOUS_UPDATES],
])

const isLevel = (encoding: number) => (encoding >= -32 && encoding <= -23) || (encoding >= -256 && encoding <= -247)

/**
 * Whether a client offers fences and continuous updates, and no encoding that noVNC does not have. So servers send it nothing
 * whose size is unknown here. Others, such as TigerVNC's viewer, request fences themselves to change the pixel format in step
 * with the server, which the proxy could not do for them.
 */
export const offersUpdates = (encodings: readonly number[]): boolean =>
  encodings.includes(FENCE) &&
  encodings.includes(CONTINUOUS_UPDATES) &&
  encodings.every((encoding) => ofNovnc.has(encoding) || isLevel(encoding))
