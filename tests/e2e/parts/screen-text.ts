/** Reads the text on a guest's screen. */
import { loadGlyphs, readText, type ScreenText } from '@oriel/console'
import type { QemuGuest, RgbPicture } from '@oriel/testkit'

/** Long, because guests are emulated, often several at once. */
const timeoutMs = 90_000

/** Returns a picture with alpha, as `readText` takes it. */
export function imageOf({ width, height, data }: RgbPicture) {
  const rgba = new Uint8Array(width * height * 4).fill(255)
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to)
  return { width, height, rgba }
}

/**
 * Resolves with the text on the screen once `isExpected` accepts it.
 * @throws Error with the last text at the deadline
 */
export async function untilText(guest: QemuGuest, isExpected: (text: string) => boolean): Promise<ScreenText> {
  const table = await loadGlyphs()
  let last: ScreenText | undefined
  const read = (picture: RgbPicture) => {
    last = readText(imageOf(picture), table, last ? { previous: last } : {})
    return isExpected(String(last))
  }
  await guest.untilPicture(read, { timeoutMs }).catch((cause: unknown) => {
    throw new Error(`No such text on the screen:\n${last}`, { cause })
  })
  return last!
}
