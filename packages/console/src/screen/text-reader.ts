/** Reads the text on one screen again and again. */
import { find } from '../pattern.ts'
import type { GlyphTable } from '../text/glyph-table.ts'
import { type LoadOptions, loadGlyphs } from '../text/load-glyphs.ts'
import { readText, type ScreenText } from '../text/read-text.ts'
import type { Image, Screenshot } from './image.ts'
import { takeScreenshot } from './picture.ts'

export interface ReadingOptions extends LoadOptions {
  /** Another table than that of this package, such as one with more fonts. */
  readonly glyphs?: GlyphTable
  /** Reads pictures that have no text in a console's font, such as by OCR. Returns lines with `\n` between them. */
  readonly recognize?: (picture: Screenshot) => string | Promise<string>
}

/** Text that was found on a screen. */
export interface FoundText {
  /** The text that matched. */
  readonly text: string
  /** The groups of the regular expression, as of `RegExp.exec`. Empty for a string. */
  readonly groups: readonly (string | undefined)[]
  /** The line in which the match begins, from 0. */
  readonly row: number
  /** The character of its line with which the match begins, from 0. */
  readonly column: number
  /** All that was on the screen. */
  readonly screen: ScreenText
}

export class TextReader {
  readonly #picture: Image
  #previous: ScreenText | undefined

  constructor(picture: Image) {
    this.#picture = picture
  }

  /** The text that was read last. */
  get previous(): ScreenText | undefined {
    return this.#previous
  }

  async read(options: ReadingOptions): Promise<ScreenText> {
    return this.reader(options.glyphs ?? (await loadGlyphs(options)), options.recognize)()
  }

  /** Returns a function that reads what is on the screen when it is called. It is synchronous without `recognize`. */
  reader(table: GlyphTable, recognize: ReadingOptions['recognize']): () => ScreenText | Promise<ScreenText> {
    return () => {
      const text = readText(this.#picture, table, this.#previous ? { previous: this.#previous } : {})
      this.#previous = text
      return recognize && text.grid === undefined ? this.#recognized(recognize) : text
    }
  }

  async #recognized(recognize: NonNullable<ReadingOptions['recognize']>): Promise<ScreenText> {
    const whole = await recognize(takeScreenshot(this.#picture))
    const text = { lines: whole.split('\n'), grid: undefined, font: undefined, toString: () => whole }
    this.#previous = text
    return text
  }
}

/** Searches the lines of a screen, which have `\n` between them. */
export function findText(screen: ScreenText, pattern: RegExp | string): FoundText | undefined {
  const whole = String(screen)
  const found = find(whole, pattern)
  if (found === undefined) return undefined
  const before = whole.slice(0, found.index).split('\n')
  return { text: found.text, groups: found.groups, row: before.length - 1, column: before.at(-1)!.length, screen }
}
