/** Writes the generated pages into docs/. */
import { writeFile } from 'node:fs/promises'
import { pages } from './pages.ts'

for (const [name, page] of Object.entries(pages)) {
  await writeFile(new URL(`../../../docs/${name}`, import.meta.url), page())
}
