/** Writes the glyph tables of `@oriel/console`: `npm run glyphs`. Needs `tests/install-debian-packages`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableFonts } from './fonts.ts'
import { madeTables, tableFolder } from './tables.ts'

for (const [name, source] of Object.entries(madeTables(tableFonts()))) writeFileSync(join(tableFolder, name), source)
