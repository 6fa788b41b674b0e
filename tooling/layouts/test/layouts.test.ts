/** The committed layouts are those that Debian's keymaps give, and type on these keymaps what they should. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type KeyStroke, loadLayout, planText } from '@oriel/console'
import { requirement } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { composeFile, readCompositions } from '../src/compose.ts'
import { unpacked } from '../src/console-keymap.ts'
import { keysymHeader, readKeysyms } from '../src/keysyms.ts'
import { makeLayouts } from '../src/make.ts'
import { xkbLayouts } from '../src/names.ts'
import { compileKeymap, parseKeymap, type XkbKeymap } from '../src/xkb.ts'

const committed = new URL('../../../packages/console/src/keyboard/layouts/', import.meta.url)
const parts = ['/usr/bin/xkbcli', keysymHeader, composeFile, join(unpacked, 'bin/loadkeys')]
const { skip, reason } = requirement("Debian's keymaps", parts.every(existsSync), 'run tests/install-debian-packages')

describe.skipIf(skip)(`the layouts made from Debian's packages${reason}`, () => {
  it('are the committed ones', async () => {
    for (const [name, text] of await makeLayouts()) {
      expect(await readFile(new URL(name, committed), 'utf8'), name).toBe(text)
    }
  })

  it.each(Object.keys(xkbLayouts))('%s types on its keymap each character that it says it can', async (name) => {
    const layout = await loadLayout(name)
    const keymap = parseKeymap(await compileKeymap(xkbLayouts[name]!))
    const lookup = { keysyms: await readKeysyms(), compositions: await readCompositions() }
    const keys = layout.keys.flatMap(([, row]) => [...row])
    const composed = layout.dead.flatMap(({ pairs }) => [...pairs].filter((_, i) => i % 2 === 1))
    const text = [...new Set([...keys, ...composed])].join('')
    expect(play(planText(text, { layout }), keymap, lookup)).toBe(text)
  })
})

interface Lookup {
  readonly keysyms: Awaited<ReturnType<typeof readKeysyms>>
  readonly compositions: Awaited<ReturnType<typeof readCompositions>>
}

/** Codes of XT set 1 above the first 88 keys, in Linux's numbering. */
const linuxCodes = new Map([
  [0x73, 89],
  [0x7d, 124],
])

/** Returns what strokes type on a resolved keymap, read from keys to characters. */
function play(strokes: readonly KeyStroke[], { keys }: XkbKeymap, { keysyms, compositions }: Lookup): string {
  const down = new Set<number>()
  let dead: string | undefined
  let text = ''
  for (const { scancode, down: goesDown, keysym } of strokes) {
    if (goesDown) down.add(scancode)
    else down.delete(scancode)
    if (!goesDown || [0x2a, 0xb8].includes(scancode)) continue
    const levels = keys.get(linuxCodes.get(scancode) ?? scancode)!
    const symbol = levels[(down.has(0x2a) ? 1 : 0) + (down.has(0xb8) ? 2 : 0)]!
    expect(keysyms(symbol)?.number, symbol).toBe(keysym)
    if (symbol.startsWith('dead_')) dead = symbol
    else {
      text += dead ? compositions.get(dead)!.get(symbol) : keysyms(symbol)!.character
      dead = undefined
    }
  }
  return text
}
