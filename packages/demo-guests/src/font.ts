/**
 * The demo guest's typeface: five by nine dots, drawn by hand for printable ASCII and smoothed when enlarged.
 *
 * Each glyph is a word of up to nine digits in base 32, one per row from the top; a digit's five bits are the dots of
 * its row, the highest bit leftmost. Rows seven and eight hang below the baseline. Missing rows are empty.
 */

/** Dots across and down in one glyph, without the gap to the next. */
export const glyphWidth = 5
export const glyphHeight = 9

/** A glyph enlarged by a power of two: `dots[y * width + x]` is 1 where ink is. */
export interface Glyph {
  readonly width: number
  readonly height: number
  readonly dots: Uint8Array
}

/**
 * The glyph of one character at a scale of 1, 2 or 4; characters that are not printable ASCII become a hollow box.
 * Enlarging rounds the stairs of slanted strokes, so that the dots do not look like dots.
 */
export function glyph(character: string, scale: 1 | 2 | 4): Glyph {
  const key = `${scale}${character}`
  const known = drawn.get(key)
  if (known) return known
  const made = scale === 1 ? dotsOf(character) : doubled(glyph(character, scale === 4 ? 2 : 1))
  if (drawn.size < maxDrawn) drawn.set(key, made)
  return made
}

const maxDrawn = 512
const drawn = new Map<string, Glyph>()

// Sixteen glyphs a line, from the space on.
const rows = `
- 4444404 AAA AAVAVAA 4FKE5U4 OP248J3 CIK8LID C48 6888886 C22222C 04LEL4 044V44 00000C48 000V 00000CC 01248G
EHJLPHE 4C4444E EH1248V V2421HE 26AIV22 VGU11HE 68GUHHE V124888 EHHEHHE EHHF12C 0CC0CC 0CC0C48 248G842 00V0V 8421248 EH12404
EH1DLLE EHHHVHH UHHUHHU EHGGGHE SIHHHIS VGGUGGV VGGUGGG EHGNHHF HHHVHHH E44444E 72222IC HIKOKIH GGGGGGV HRLLHHH HHPLJHH EHHHHHE
UHHUGGG EHHHLID UHHUKIH FGGE11U V444444 HHHHHHE HHHHHA4 HHHLLLA HHA4AHH HHHA444 V1248GV E88888E 0G8421 E22222E 4AH 0000000V
842 00E1FHF GGMPHHU 00EGGHE 11DJHHF 00EHVGE 698S888 00FHHHF1E GGMPHHH 40C444E 2062222IC GGIKOKI C44444E 00QLLHH 00MPHHH 00EHHHE
00UHHHUGG 00FHHHF11 00MPGGG 00FGE1U 88S8896 00HHHJD 00HHHA4 00HHLLA 00HA4AH 00HHHHF1E 00V248V 2448442 4444444 8442448 008L2
`
  .trim()
  .split(/\s+/)

const unknown = 'VHHHHHV'

function dotsOf(character: string): Glyph {
  const word = rows[character.charCodeAt(0) - 0x20] ?? unknown
  const dots = new Uint8Array(glyphWidth * glyphHeight)
  if (word === '-' && character === ' ') return { width: glyphWidth, height: glyphHeight, dots }
  for (let y = 0; y < word.length; y++) {
    const bits = Number.parseInt(word[y]!, 32)
    for (let x = 0; x < glyphWidth; x++) dots[y * glyphWidth + x] = (bits >> (glyphWidth - 1 - x)) & 1
  }
  return { width: glyphWidth, height: glyphHeight, dots }
}

/**
 * Doubles a glyph. A quarter dot takes the value of its two outer neighbours if these are equal and their opposites differ.
 */
function doubled({ width, height, dots }: Glyph): Glyph {
  const at = (x: number, y: number) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : dots[y * width + x]!)
  const large = new Uint8Array(width * height * 4)
  for (let y = 0; y < height * 2; y++) {
    for (let x = 0; x < width * 2; x++) {
      const [cx, cy] = [x >> 1, y >> 1]
      const [dx, dy] = [x % 2 ? 1 : -1, y % 2 ? 1 : -1]
      const [beside, above] = [at(cx + dx, cy), at(cx, cy + dy)]
      const corner = beside === above && at(cx - dx, cy) !== beside && at(cx, cy - dy) !== above
      large[y * width * 2 + x] = corner ? beside : at(cx, cy)
    }
  }
  return { width: width * 2, height: height * 2, dots: large }
}
