/** Builds the messages of RFB clients (RFC 6143 section 7.5 and extensions), for tests that send them. */

const u16 = (value: number) => Buffer.of(value >> 8, value & 0xff)
const i32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}
/** Bytes that would be input if a message began at any of them. */
export const payload = (length: number) => Buffer.alloc(length, 4)

export const setEncodings = (encodings: readonly number[], claimed = encodings.length) =>
  Buffer.concat([Buffer.of(2, 0), u16(claimed), ...encodings.map(i32)])
export const cutText = (length: number, claimed = length) =>
  Buffer.concat([Buffer.of(6, 0, 0, 0), i32(claimed), payload(length)])
export const fence = (length: number) => Buffer.concat([Buffer.of(248, 0, 0, 0, 0, 0, 0, 1, length), payload(length)])
export const pointer = (buttons: number) => Buffer.of(5, buttons, 0, 9, 0, 9)
export const setDesktopSize = (screens: number) =>
  Buffer.concat([Buffer.of(251, 0, 4, 0, 3, 0, screens, 0), payload(16 * screens)])
export const gii = (length: number, isBigEndian = true) =>
  Buffer.concat([
    Buffer.of(253, isBigEndian ? 0x81 : 1),
    isBigEndian ? u16(length) : u16(length).reverse(),
    payload(length),
  ])
export const keyEvent = Buffer.of(4, 1, 0, 0, 0, 0, 0, 97)
export const updateRequest = Buffer.of(3, 1, 0, 0, 0, 0, 4, 4, 4, 4)
export const setPixelFormat = Buffer.concat([Buffer.of(0, 0, 0, 0), payload(16)])
export const continuousUpdates = Buffer.of(150, 1, 0, 0, 0, 0, 4, 4, 4, 4)
export const xvpReset = Buffer.of(250, 0, 1, 4)
export const qemuKey = Buffer.concat([Buffer.of(255, 0), payload(10)])
export const qemuAudio = {
  enable: Buffer.of(255, 1, 0, 0),
  disable: Buffer.of(255, 1, 0, 1),
  setFormat: Buffer.of(255, 1, 0, 2, 0, 2, 0, 0, 172, 68),
} as const

/** One of each message that only chooses the picture. */
export const viewing = {
  setPixelFormat,
  setEncodings: setEncodings([7, 16, 0, -239, -223]),
  noEncodings: setEncodings([]),
  updateRequest,
  continuousUpdates,
  fence: fence(64),
  emptyFence: fence(0),
} as const

/** One of each message that is input. */
export const input = {
  keyEvent,
  pointer: pointer(1),
  eighthButton: pointer(0x81),
  cutText: cutText(20),
  emptyCutText: cutText(0),
  extendedCutText: cutText(20, -20),
  xvpReset,
  setDesktopSize: setDesktopSize(2),
  gii: gii(60),
  giiLittleEndian: gii(300, false),
  qemuKey,
  qemuAudioEnable: qemuAudio.enable,
  qemuAudioDisable: qemuAudio.disable,
  qemuAudioFormat: qemuAudio.setFormat,
} as const
