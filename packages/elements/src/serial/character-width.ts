/** How many columns a character takes, by Unicode 15 and later: as `wcwidth` of today's systems, which guests count with. */
import type { IUnicodeVersionProvider } from '@xterm/xterm'

export type Width = 0 | 1 | 2

/** Returns the columns of a code point. Characters that join the one before, and control characters, take none. */
export function characterWidth(codePoint: number): Width {
  if (codePoint < 0x300) return codePoint < 0x20 || (codePoint >= 0x7f && codePoint < 0xa0) ? 0 : 1
  const known = widths[codePoint]
  if (known !== undefined && known > 0) return (known - 1) as Width
  const width = measure(String.fromCodePoint(codePoint))
  if (codePoint < widths.length) widths[codePoint] = width + 1
  return width
}

/** The widths plus one, for the planes in use; 0: not measured yet. */
const widths = new Uint8Array(0x20000)

const measure = (character: string): Width =>
  zero.test(character) ? 0 : wide.test(character) && !regional.test(character) ? 2 : 1

// Hangul vowels and final consonants join the initial one, which is wide.
const zero = /[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff\ud7b0-\ud7ff\u2028\u2029]/u
// Two of them are a flag, which takes two columns.
const regional = /[\u{1f1e6}-\u{1f1ff}]/u
// East Asian Width W and F: emoji that are pictures by default, and the scripts and symbols of East Asia.
const wide =
  /[\p{Emoji_Presentation}\p{Script=Yi}\p{Script=Tangut}\p{Script=Khitan_Small_Script}\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u3247\u3250-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{16ff1}\u{1aff0}-\u{1affe}\u{1b000}-\u{1b2fb}\u{1f200}-\u{1f265}\u{20000}-\u{2fffd}\u{30000}-\u{3fffd}]/u

/** The same widths for xterm.js, whose built-in provider stops at Unicode 6 and draws emoji one column wide. */
export const unicodeProvider: IUnicodeVersionProvider = {
  version: '15',
  wcwidth: characterWidth,
  charProperties(codePoint, preceding) {
    const own = characterWidth(codePoint)
    const before = own === 0 ? widthOf(preceding) : 0
    return before > 0 ? properties(before, true) : properties(own, false)
  },
}

// The bits of xterm.js: a state, which stays 0 here, then two of the width, then whether the character joins the one before.
const properties = (width: number, joins: boolean) => (width << 1) | Number(joins)
const widthOf = (properties: number) => (properties >> 1) & 3
