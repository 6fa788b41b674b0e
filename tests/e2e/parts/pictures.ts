/** Compares pictures of a guest's screen. */
import { differingShare, type QemuGuest, type RgbPicture } from '@oriel/testkit'

/**
 * The allowed difference between a page and the guest's picture: 2 of 255 levels in a channel, and more in at most 0.2
 * % of the pixels, because a text cursor of 9 by 2 pixels may blink between the two pictures.
 */
const TOLERANCE = { levels: 2, share: 0.002 }

export const samePicture = (a: RgbPicture, b: RgbPicture) =>
  a.width === b.width && a.height === b.height && differingShare(a, b, TOLERANCE.levels) <= TOLERANCE.share

/** Whether two pictures differ by more than a cursor or a clock. */
export const differs = (a: RgbPicture, b: RgbPicture) =>
  a.data.length !== b.data.length || a.data.reduce((count, level, i) => count + Number(level !== b.data[i]), 0) > 500

/** Whether the screen is not empty. */
export const isDrawn = ({ data }: RgbPicture) => data.some((level) => level > 64)

/** Resolves with the guest's picture once it is not empty and several successive ones are equal. */
export async function settled(guest: QemuGuest): Promise<RgbPicture> {
  let last: RgbPicture | undefined
  let same = 0
  return guest.untilPicture((picture) => {
    same = last !== undefined && isDrawn(picture) && samePicture(picture, last) ? same + 1 : 0
    last = picture
    return same >= 5
  })
}
