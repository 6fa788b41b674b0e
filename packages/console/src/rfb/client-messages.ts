/** The messages of the client: RFC 6143 section 7.5, and extensions of the RFB community specification. */
import type { KeyStroke } from '../keyboard/stroke.ts'
import type { Rectangle } from '../screen/image.ts'
import { u16Bytes, u32Bytes } from './wire/integers.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

/** 32 bits per pixel in the order red, green, blue, unused, which is that of {@link Rectangle} pictures. */
export const setPixelFormat = () => bytes(0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0)

/** @param numbers in the order of preference */
export const setEncodings = (numbers: readonly number[]) =>
  bytes(2, 0, ...u16Bytes(numbers.length), ...numbers.flatMap(u32Bytes))

/** @param isIncremental whether the server may wait for a change, and send only that */
export const updateRequest = (isIncremental: boolean, { x, y, width, height }: Rectangle) =>
  bytes(3, isIncremental ? 1 : 0, ...[x, y, width, height].flatMap(u16Bytes))

export const keyEvent = ({ down, keysym }: KeyStroke) => bytes(4, down ? 1 : 0, 0, 0, ...u32Bytes(keysym))

export const qemuKeyEvent = ({ down, keysym, scancode }: KeyStroke) =>
  bytes(255, 0, 0, down ? 1 : 0, ...u32Bytes(keysym), ...u32Bytes(scancode))

/** @param buttons a bit per button that is down: left, middle, right, and the four directions of the wheel */
export const pointerEvent = (buttons: number, x: number, y: number) => bytes(5, buttons, ...u16Bytes(x), ...u16Bytes(y))

/** @param text in Latin-1; other characters become `?` */
export function cutText(text: string): Uint8Array {
  const latin1 = Uint8Array.from(text, (character) =>
    character.codePointAt(0)! <= 0xff ? character.charCodeAt(0) : 0x3f,
  )
  return joined(bytes(6, 0, 0, 0, ...u32Bytes(latin1.length)), latin1)
}

/** An extended clipboard message, which a negative length marks. */
export const extendedCutText = (flags: number, data: Uint8Array = bytes()) =>
  joined(bytes(6, 0, 0, 0, ...u32Bytes(-(4 + data.length)), ...u32Bytes(flags)), data)

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.length + tail.length)
  whole.set(head)
  whole.set(tail, head.length)
  return whole
}
