/**
 * Reads a keymap of the Linux console in the binary form that `loadkeys --bkeymap` writes and BusyBox's `loadkmap` reads:
 * the word `bkeymap`, a byte for each of 256 combinations of modifiers that tells whether it has a table, and the tables.
 */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const KEYS_PER_TABLE = 128
const HEADER_BYTES = 7 + 256
/** Tables of the four levels: plain, Shift, AltGr, both. Bits from the kernel's keyboard.h: Shift 1, AltGr 2. */
const LEVELS = [0, 1, 2, 3] as const
/** Key types of the kernel's keyboard.h. */
const LATIN = 0
const DEAD = 4
const LETTER = 11

/** What a key of the Linux console does, as far as text needs it. */
export interface ConsoleSymbol {
  readonly character: string
  /** Whether it waits for the next key. Its character is then what it types before a space. */
  readonly dead: boolean
}

/** Linux's key code → symbols of the levels. */
export type ConsoleKeymap = ReadonlyMap<number, readonly (ConsoleSymbol | undefined)[]>

/** Where `tests/install-debian-packages` unpacks `kbd` and `console-data`. */
export const unpacked = process.env.ORIEL_TEST_PARTS ?? '/usr/local/share/oriel-test-parts'

/** Returns the binary form of a keymap of Debian's `console-data`. */
export async function compileConsoleKeymap(name: string): Promise<Uint8Array> {
  const folder = join(unpacked, 'usr/share/keymaps/i386')
  const path = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((file) =>
    file.endsWith(`/${name}.kmap.gz`),
  )
  if (!path) throw new Error(`No keymap ${name} in ${folder}`)
  const options = ['--quiet', '--bkeymap', join(folder, path)]
  return (await promisify(execFile)(join(unpacked, 'bin/loadkeys'), options, { encoding: 'buffer' })).stdout
}

export function parseConsoleKeymap(binary: Uint8Array): ConsoleKeymap {
  const view = new DataView(binary.buffer, binary.byteOffset, binary.byteLength)
  const tables = tableOffsets(binary)
  const symbolAt = (level: number, key: number) => {
    const offset = tables.get(level)
    return offset === undefined ? undefined : consoleSymbol(view.getUint16(offset + 2 * key, true))
  }
  const keys = Array.from({ length: KEYS_PER_TABLE }, (_, key) => key)
  return new Map(keys.map((key) => [key, LEVELS.map((level) => symbolAt(level, key))] as const))
}

function tableOffsets(binary: Uint8Array): Map<number, number> {
  const present = [...binary.subarray(7, HEADER_BYTES).entries()].filter(([, flag]) => flag !== 0)
  return new Map(present.map(([table], index) => [table, HEADER_BYTES + index * KEYS_PER_TABLE * 2]))
}

/** Characters of the kernel's dead keys, by their values: grave, acute, circumflex, tilde, diaeresis, cedilla. */
const DEAD_CHARACTERS = '`\'^~",'

function consoleSymbol(value: number): ConsoleSymbol | undefined {
  const type = value >> 8
  const code = value & 0xff
  if (type === LATIN || type === LETTER)
    return code < 0x20 || code === 0x7f ? undefined : { character: String.fromCharCode(code), dead: false }
  if (type === DEAD) return { character: DEAD_CHARACTERS[code] ?? ' ', dead: true }
  return undefined
}
