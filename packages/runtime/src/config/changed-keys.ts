/** Compares two configurations, to report which changes wait for a restart. */
import { Secret } from '../secret.ts'
import { elementPath, keyPath } from './path.ts'

/**
 * Returns the paths of the keys that differ. A table or list that only one side has is named as a whole. Values are left
 * out, since some are secrets.
 */
export function changedKeys(before: unknown, after: unknown, path = ''): readonly string[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    return indexes(before, after).flatMap((i) => changedKeys(before[i], after[i], elementPath(path, i)))
  }
  if (isPlainTable(before) && isPlainTable(after)) {
    return keysOf(before, after).flatMap((key) => changedKeys(before[key], after[key], keyPath(path, key)))
  }
  return isSame(before, after) ? [] : [path]
}

/** Whether `path` is one of `known` or below one of them; `[]` in these stands for every element of a list. */
export function isBelow(path: string, known: readonly string[]): boolean {
  const asked = path.replace(/\[\d+\]/g, '[]')
  return known.some((one) => asked === one || asked.startsWith(`${one}.`) || asked.startsWith(`${one}[`))
}

type PlainTable = Readonly<Record<string, unknown>>

const isPlainTable = (value: unknown): value is PlainTable =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

const indexes = (...lists: readonly (readonly unknown[])[]) => [
  ...Array(Math.max(...lists.map(({ length }) => length))).keys(),
]

const keysOf = (...tables: readonly PlainTable[]) => [...new Set(tables.flatMap((table) => Object.keys(table)))]

function isSame(before: unknown, after: unknown): boolean {
  if (before instanceof Secret && after instanceof Secret) return before.equals(after.reveal())
  return before === after || (before instanceof Date && after instanceof Date && +before === +after)
}
