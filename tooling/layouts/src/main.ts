/** Writes the keyboard layouts of `@oriel/console`. */
import { mkdir, writeFile } from 'node:fs/promises'
import { makeLayouts } from './make.ts'

const folder = new URL('../../../packages/console/src/keyboard/layouts/', import.meta.url)
await mkdir(folder, { recursive: true })
for (const [name, text] of await makeLayouts()) await writeFile(new URL(name, folder), text)
