/** Makes the table of a layout, as `@oriel/console` reads it, from a resolved keymap. */
import type { DeadKey, Layout } from '@oriel/console'
import type { Compositions } from './compose.ts'
import type { ConsoleKeymap } from './console-keymap.ts'
import type { KeysymLookup } from './keysyms.ts'
import { xtScancode } from './scancodes.ts'
import type { XkbKeymap } from './xkb.ts'

const LATIN_1_END = 0xff
/** Adding this to a code point gives its keysym, unless it is in Latin-1 or older than Unicode's keysyms. */
const UNICODE_KEYSYMS = 0x0100_0000

export interface XkbParts {
  readonly keysyms: KeysymLookup
  readonly compositions: Compositions
}

export function xkbTable(name: string, keymap: XkbKeymap, { keysyms, compositions }: XkbParts): Layout {
  const direct = (symbol: string) => textOf(keysyms(symbol)?.character)
  const symbols = [...keymap.keys].flatMap(([code, levels]) => levels.map((symbol, level) => ({ code, level, symbol })))
  const typed = new Map(symbols.flatMap(({ symbol }) => (direct(symbol) ? [[symbol, direct(symbol)!] as const] : [])))
  const dead = symbols.flatMap(({ code, level, symbol }): DeadKey[] => {
    const pairs = pairsOf(compositions.get(symbol), typed)
    return pairs ? [{ scancode: xtScancode(code)!, level, keysym: keysyms(symbol)!.number, pairs }] : []
  })
  return {
    name,
    label: keymap.label,
    keys: keyTable([...keymap.keys].map(([code, levels]) => [code, levels.map(direct)])),
    dead: firstOfEach(dead),
    keysyms: oldKeysyms(typed, keysyms),
  }
}

export function consoleTable(name: string, label: string, keymap: ConsoleKeymap): Layout {
  const levels = [...keymap].map(([code, symbols]) => [code, symbols.map((symbol) => consoleText(symbol))] as const)
  const dead = [...keymap].flatMap(([code, symbols]) =>
    symbols.flatMap((symbol, level): DeadKey[] => {
      const kernel = symbol?.dead ? kernelDeadKeys[symbol.character] : undefined
      return kernel && xtScancode(code)
        ? [{ scancode: xtScancode(code)!, level, keysym: kernel.keysym, pairs: ` ${symbol!.character}${kernel.pairs}` }]
        : []
    }),
  )
  return { name, label, keys: keyTable(levels), dead: firstOfEach(dead), keysyms: '' }
}

/** The kernel's dead keys by what they type before a space, and what each composes until a keymap changes that. */
const kernelDeadKeys: Readonly<Record<string, { keysym: number; pairs: string }>> = {
  '`': { keysym: 0xfe50, pairs: 'AÀaàEÈeèIÌiìOÒoòUÙuù' },
  "'": { keysym: 0xfe51, pairs: 'AÁaáEÉeéIÍiíOÓoóUÚuúYÝyý' },
  '^': { keysym: 0xfe52, pairs: 'AÂaâEÊeêIÎiîOÔoôUÛuû' },
  '~': { keysym: 0xfe53, pairs: 'AÃaãNÑnñOÕoõ' },
  '"': { keysym: 0xfe57, pairs: 'AÄaäEËeëIÏiïOÖoöUÜuüyÿ' },
  ',': { keysym: 0xfe5b, pairs: 'CÇcç' },
}

const consoleText = (symbol: { character: string; dead: boolean } | undefined) =>
  symbol && !symbol.dead ? textOf(symbol.character) : undefined

/**
 * Characters that a text can ask for: a text is normalized to NFC before it is typed. Combining characters count as
 * none: guests draw them as they like.
 */
function textOf(character: string | undefined): string | undefined {
  const isText = character?.length === 1 && !/[\p{M}\p{Cc}]/u.test(character) && character.normalize() === character
  return isText ? character : undefined
}

/** Nothing on a level is a space: only the Space key types that, on every keyboard. */
function keyTable(entries: readonly (readonly [number, readonly (string | undefined)[]])[]): Layout['keys'] {
  const rows = entries.flatMap(([code, levels]) => {
    const row = levels
      .map((character) => character ?? ' ')
      .join('')
      .replace(/ +$/, '')
    return row && xtScancode(code) ? [[xtScancode(code)!, row] satisfies Layout['keys'][number]] : []
  })
  return rows.toSorted(([a], [b]) => a - b)
}

/** Pairs of next key and result, as one string: results that no key has, of next keys that are not dead. */
function pairsOf(followers: ReadonlyMap<string, string> | undefined, typed: ReadonlyMap<string, string>) {
  const next = new Map([...typed, ['space', ' ']])
  const hasKey = new Set(next.values())
  const pairs = [...(followers ?? [])].flatMap(([symbol, result]) =>
    next.has(symbol) && textOf(result) && !hasKey.has(result) ? [next.get(symbol)! + result] : [],
  )
  return [...new Set(pairs)].toSorted().join('')
}

/** A dead key that is on several levels is needed once, on the lowest. */
function firstOfEach(dead: readonly DeadKey[]): DeadKey[] {
  const byLevel = dead.toSorted((a, b) => a.level - b.level || a.scancode - b.scancode)
  return byLevel.filter(({ keysym }, i) => byLevel.findIndex((other) => other.keysym === keysym) === i)
}

/** `ő=1f5 …`: the keysyms that the rule from code points does not give. */
function oldKeysyms(typed: ReadonlyMap<string, string>, keysyms: KeysymLookup): string {
  const odd = [...typed].flatMap(([symbol, character]) => {
    const { number } = keysyms(symbol)!
    const point = character.codePointAt(0)!
    return number === (point <= LATIN_1_END ? point : UNICODE_KEYSYMS + point)
      ? []
      : [`${character}=${number.toString(16)}`]
  })
  return [...new Set(odd)].toSorted().join(' ')
}
