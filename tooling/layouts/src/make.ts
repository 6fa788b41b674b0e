/** Makes all modules of `packages/console/src/keyboard/layouts`. */
import { readCompositions } from './compose.ts'
import { compileConsoleKeymap, parseConsoleKeymap } from './console-keymap.ts'
import { readKeysyms } from './keysyms.ts'
import { consoleKeymaps, consoleLabel, xkbLayouts } from './names.ts'
import { renderIndex, renderLayout } from './render.ts'
import { consoleTable, xkbTable } from './table.ts'
import { compileKeymap, parseKeymap } from './xkb.ts'

/** Returns the modules: name of the file → text. */
export async function makeLayouts(): Promise<Map<string, string>> {
  const parts = { keysyms: await readKeysyms(), compositions: await readCompositions() }
  const modules = new Map<string, string>()
  const tables = []
  for (const [name, source] of Object.entries(xkbLayouts)) {
    const table = xkbTable(name, parseKeymap(await compileKeymap(source)), parts)
    modules.set(`${name}.ts`, renderLayout(table, "Debian's xkb-data"))
    tables.push(table)
  }
  for (const keymap of consoleKeymaps) {
    const table = consoleTable(
      `loadkeys-${keymap}`,
      consoleLabel(keymap),
      parseConsoleKeymap(await compileConsoleKeymap(keymap)),
    )
    modules.set(`${table.name}.ts`, renderLayout(table, "Debian's console-data"))
    tables.push(table)
  }
  const sorted = tables.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return modules.set('index.ts', renderIndex(sorted))
}
