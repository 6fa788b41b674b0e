/** The messages of SPICE's inputs channel that carry keys: `SPICE_MSGC_INPUTS_KEY_DOWN` and `_UP` of spice-protocol. */
import { keyNamed } from '@oriel/console'

const KEY_DOWN = 101
const KEY_UP = 102
const EXTENDED = 0x80
const RELEASED = 0x80
const headerBytes = 6

/** A message in the form in which spice-html5's channels send it. */
export interface ChannelMessage {
  readonly type: number
  buffer_size(): number
  to_buffer(buffer: ArrayBuffer): void
}

/** Whether the keyboard has a scancode for this `KeyboardEvent.code`. */
export const hasScancode = (code: string): boolean => code === 'Pause' || keyNamed(code) !== undefined

/** Creates the message for a key that goes down or up. `code` must have a scancode. */
export function keyMessage(code: string, down: boolean): ChannelMessage {
  const bytes = down ? pressBytes(code) : releaseBytes(code)
  return {
    type: down ? KEY_DOWN : KEY_UP,
    buffer_size: () => headerBytes + 4,
    to_buffer(buffer) {
      const view = new DataView(buffer)
      view.setUint16(0, this.type, true)
      view.setUint32(2, 4, true)
      for (const [i, byte] of bytes.entries()) view.setUint8(headerBytes + i, byte)
    },
  }
}

/** The bytes of XT set 1. The server passes them on one by one, up to the first zero. */
function pressBytes(code: string): readonly number[] {
  if (code === 'Pause') return [0xe1, 0x1d, 0x45]
  const { scancode } = keyNamed(code)!
  return scancode & EXTENDED ? [0xe0, scancode & ~EXTENDED] : [scancode]
}

function releaseBytes(code: string): readonly number[] {
  if (code === 'Pause') return [0xe1, 0x9d, 0xc5]
  const { scancode } = keyNamed(code)!
  return scancode & EXTENDED ? [0xe0, (scancode & ~EXTENDED) | RELEASED] : [scancode | RELEASED]
}
