/** Linux's key codes as codes of XT set 1. The kernel numbered the first 88 keys by them. */

/** Keys of the main block beyond those of a US keyboard, by their names in Linux's input-event-codes.h. */
const LINUX_102ND = 86
const LINUX_RO = 89
const LINUX_YEN = 124
const XT_RO = 0x73
const XT_YEN = 0x7d
const FIRST = 2
const SPACE = 57
const KEYPAD_ASTERISK = 55

/** Returns the code of a key in the main block. `undefined` for others: text on the keypad depends on Num Lock. */
export function xtScancode(linuxCode: number): number | undefined {
  if (linuxCode === LINUX_RO) return XT_RO
  if (linuxCode === LINUX_YEN) return XT_YEN
  const inBlock = linuxCode >= FIRST && linuxCode <= SPACE && linuxCode !== KEYPAD_ASTERISK
  return inBlock || linuxCode === LINUX_102ND ? linuxCode : undefined
}
