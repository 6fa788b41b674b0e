/** The tables of this package, loaded on demand because they are larger than all its code. */
import { type Face, type GlyphTable, tableOfFaces } from './glyph-table.ts'
import { unpackFace } from './packed.ts'

export interface LoadOptions {
  /**
   * Whether to load all of GNU Unifont too, for GRUB menus in Chinese, Japanese, Korean and other scripts beyond Latin,
   * Greek and Cyrillic: 480 kB more. Default: false.
   */
  readonly unifont?: boolean
}

/**
 * Loads the fonts that consoles use by default: those of QEMU's VGA BIOS and UEFI firmware, of Linux, of Debian's `console-setup`, of RHEL's
 * `latarcyrheb-sun16` and of GRUB. Loaded once.
 *
 * @example
 * const text = readText(await screen.screenshot(), await loadGlyphs())
 */
export function loadGlyphs({ unifont = false }: LoadOptions = {}): Promise<GlyphTable> {
  if (unifont) everything ??= loadEverything()
  else usual ??= loadUsual()
  return (unifont ? everything : usual)!
}

let usual: Promise<GlyphTable> | undefined
let everything: Promise<GlyphTable> | undefined

async function loadUsual(): Promise<GlyphTable> {
  const { faces } = await import('./tables/consoles.ts')
  return tableOfFaces(faces.map(unpackFace))
}

async function loadEverything(): Promise<GlyphTable> {
  const [{ faces }, { rest }] = await Promise.all([import('./tables/consoles.ts'), import('./tables/unifont.ts')])
  const more = unpackFace(rest)
  return tableOfFaces(
    faces.map((face) => (face.name === more.name ? joined(unpackFace(face), more) : unpackFace(face))),
  )
}

const joined = (face: Face, { narrow, wide, underCursor }: Face): Face => ({
  ...face,
  narrow: [...face.narrow, ...narrow],
  wide: [...face.wide, ...wide],
  underCursor: [...face.underCursor, ...underCursor],
})
