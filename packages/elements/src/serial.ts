/** `@oriel/elements/serial`: defines `<oriel-serial>`. It needs a browser. */
export type * from './common.ts'
export { OrielSerial, type OrielSerialEventMap } from './oriel-serial.ts'
export type { SerialKey } from './serial/keys.ts'
export type { PastedText } from './serial/pasted.ts'
export type { PasteOptions } from './serial/send-paste.ts'
