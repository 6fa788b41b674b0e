/** When two pictures of a guest's screen count as one. */
import { differingShare, type QemuGuest, type RgbPicture } from '@oriel/testkit'

/**
 * How much a page may differ from the guest's own picture: a channel by 2 of 255 levels, in at most 0.2 % of the pixels
 * (a text cursor may blink between the two looks: 9 by 2 pixels of 720 by 400).
 */
const TOLERANCE = { levels: 2, share: 0.002 }

export const samePicture = (a: RgbPicture, b: RgbPicture) =>
  a.width === b.width && a.height === b.height && differingShare(a, b, TOLERANCE.levels) <= TOLERANCE.share

/** Whether one shows something that the other does not, beyond a cursor or a clock. */
export const differs = (a: RgbPicture, b: RgbPicture) =>
  a.data.length !== b.data.length || a.data.reduce((count, level, i) => count + Number(level !== b.data[i]), 0) > 500

/** Whether anything is on the screen. */
export const isDrawn = ({ data }: RgbPicture) => data.some((level) => level > 64)

/** The guest's picture once it shows something and has not changed for some looks. */
export async function settled(guest: QemuGuest): Promise<RgbPicture> {
  let last: RgbPicture | undefined
  let same = 0
  return guest.untilPicture((picture) => {
    same = last !== undefined && isDrawn(picture) && samePicture(picture, last) ? same + 1 : 0
    last = picture
    return same >= 5
  })
}
