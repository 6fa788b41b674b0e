/** Fonts that exist nowhere: for each character a bitmap from a seeded generator. */
import type { BitmapFont } from '@oriel/console'

const characters = [
  ...' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~äß',
]

/** The characters of {@link inventedFont}. */
export const INVENTED = characters

export function inventedFont(width: number, height: number, name = 'Invented'): BitmapFont {
  let state = width * 64 + height
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  // Room on all sides, as letters have it; only the first character is blank.
  const inner = 2 ** (width - 2)
  const rows = () =>
    Array.from({ length: height }, (_, y) => (y < 2 || y > height - 4 ? 0 : Math.floor(random() * inner) << 1))
  const glyphs = characters.map((character, i) => ({
    codePoint: character.codePointAt(0)!,
    rows: i === 0 ? new Array<number>(height).fill(0) : rows(),
  }))
  return { name, width, height, glyphs }
}
