/** X11's keysyms: their numbers and characters, from the header of Debian's `x11proto-dev`. */
import { readFile } from 'node:fs/promises'

export const keysymHeader = '/usr/include/X11/keysymdef.h'

export interface Keysym {
  readonly number: number
  /** The character that the keysym types, unless it is a function or a dead key. */
  readonly character?: string
}

/** Returns the keysym of a name: `a`, `adiaeresis`, `dead_acute`, `U20AC`. `undefined` for names of media keys. */
export type KeysymLookup = (name: string) => Keysym | undefined

/** Adding this to a code point gives its keysym, unless it is in Latin-1 or older than Unicode's keysyms. */
const UNICODE_KEYSYMS = 0x0100_0000

export async function readKeysyms(path = keysymHeader): Promise<KeysymLookup> {
  const known = parseHeader(await readFile(path, 'utf8'))
  return (name) => known.get(name) ?? unicodeKeysym(name)
}

/** Lines look like `#define XK_Aacute 0x00c1 /* U+00C1 LATIN CAPITAL LETTER A WITH ACUTE *\/`. */
function parseHeader(header: string): Map<string, Keysym> {
  const line = /^#define XK_(\w+)\s+0x([0-9a-f]+)(?:\s*\/\*[ (]U\+([0-9A-F]{4,6}))?/gm
  return new Map(
    [...header.matchAll(line)].map(([, name, number, point]) => [
      name!,
      { number: Number.parseInt(number!, 16), ...(point && { character: fromPoint(point) }) },
    ]),
  )
}

function unicodeKeysym(name: string): Keysym | undefined {
  const point = /^U([0-9A-F]{4,6})$/.exec(name)?.[1] ?? /^0x100([0-9a-f]{4})$/.exec(name)?.[1]
  if (point) return { number: UNICODE_KEYSYMS + Number.parseInt(point, 16), character: fromPoint(point) }
  return undefined
}

const fromPoint = (hexadecimal: string) => String.fromCodePoint(Number.parseInt(hexadecimal, 16))
