/** Reads a keymap as `xkbcli compile-keymap` prints it, with every include resolved. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { XkbSource } from './names.ts'

export interface XkbKeymap {
  /** The layout's own name: `German`. */
  readonly label: string
  /** Linux's key code → keysym names of the levels that plain, Shift, AltGr, and both together reach. */
  readonly keys: ReadonlyMap<number, readonly string[]>
}

/** Keys of the main block. The keypad depends on Num Lock, so no text is typed on it. */
const MAIN_BLOCK = /^(?:TLDE|BKSL|LSGT|SPCE|A[B-E]\d\d)$/
/** X counts key codes from eight. */
const EVDEV_OFFSET = 8
/** Types whose levels three and four need AltGr, which xkbcli names only when a symbols file sets them. */
const TYPES = /^(?:FOUR_LEVEL(?:_ALPHABETIC|_SEMIALPHABETIC|_PLUS_LOCK)?|(?:ONE|TWO)_LEVEL|ALPHABETIC)$/

export async function compileKeymap({ layout, variant }: XkbSource): Promise<string> {
  const options = [
    '--rules',
    'evdev',
    '--model',
    'pc105',
    '--layout',
    layout,
    ...(variant ? ['--variant', variant] : []),
  ]
  return (await promisify(execFile)('xkbcli', ['compile-keymap', ...options])).stdout
}

/** @throws Error if a key has a type whose modifiers this tool does not know */
export function parseKeymap(text: string): XkbKeymap {
  const [keycodes, symbols] = text.split(/^xkb_symbols /m) as [string, string]
  const codes = new Map(
    [...keycodes.matchAll(/^\s*<(\w+)>\s*= (\d+);/gm)].map(([, name, code]) => [name!, Number(code)]),
  )
  const entries = [...symbols.matchAll(/^\tkey <(\w+)>\s*\{([^}]*)\}/gm)]
  const altGr = entries.some(([, name, body]) => name === 'RALT' && body!.includes('ISO_Level3_Shift'))
  const keys = entries
    .filter(([, name]) => MAIN_BLOCK.test(name!))
    .map(([, name, body]) => [codes.get(name!)! - EVDEV_OFFSET, levels(body!).slice(0, altGr ? 4 : 2)] as const)
  return { label: /name\[Group1\]="([^"]*)"/.exec(symbols)![1]!, keys: new Map(keys) }
}

function levels(body: string): string[] {
  const type = /type(?:\[Group1\])?= *"(\w+)"/.exec(body)?.[1] ?? 'FOUR_LEVEL'
  const names = /\[([^[\]]*)\]\s*(?:,|$)/.exec(body.replace(/\w+\[Group1\]=/g, ''))![1]!.split(',')
  // Keys without text, as Japanese input methods have, may have any type.
  if (!TYPES.test(type) && !/^PC_ALT_LEVEL2$/.test(type)) throw new Error(`unknown key type ${type}`)
  return names.map((name) => name.trim())
}
