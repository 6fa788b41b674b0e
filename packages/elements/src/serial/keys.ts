/** The bytes that a terminal sends for the keys that a page offers as buttons (ECMA-48, xterm). */

const controls = {
  escape: '\x1b',
  tab: '\t',
  enter: '\r',
  interrupt: '\x03',
  'end-of-input': '\x04',
  suspend: '\x1a',
  quit: '\x1c',
} as const

/** The last byte of a cursor key's sequence. */
const cursorKeys = { up: 'A', down: 'B', right: 'C', left: 'D', home: 'H', end: 'F' } as const

export type SerialKey = keyof typeof controls | keyof typeof cursorKeys

export const isSerialKey = (name: string): name is SerialKey =>
  Object.hasOwn(controls, name) || Object.hasOwn(cursorKeys, name)

/** Returns the bytes of `key` as text. `application`: the machine has enabled the application mode of the cursor keys, as editors do. */
export function keySequence(key: SerialKey, application: boolean): string {
  if (key in controls) return controls[key as keyof typeof controls]
  return `\x1b${application ? 'O' : '['}${cursorKeys[key as keyof typeof cursorKeys]}`
}
