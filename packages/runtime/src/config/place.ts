/** What the walk over a configuration passes from key to key. */
import type { EnvironmentNode } from './environment.ts'
import type { ConfigFault } from './error.ts'
import type { JsonSchema } from './schema-view.ts'
import { Text } from './text.ts'

export interface ResolveContext {
  readonly root: JsonSchema
  readonly faults: ConfigFault[]
  /** Reads the file that a `…_file` key names; relative names are the reader's business. */
  readonly readFile: (path: string) => string
}

/** One key's place in the three sources. */
export interface Place {
  readonly path: string
  /** What the file says; a `Text` when it came from a `…_file`; undefined when absent. */
  readonly value: unknown
  readonly env?: EnvironmentNode | undefined
}

export type Table = Readonly<Record<string, unknown>>

/** Stands for a value whose fault is recorded already. */
export const UNREADABLE = Symbol('unreadable')

export function isTable(value: unknown): value is Table {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Date || value instanceof Text)
  )
}

export function field(value: unknown, key: string): unknown {
  return isTable(value) && Object.hasOwn(value, key) ? value[key] : undefined
}
