/** The state of the walk over a configuration. */
import type { EnvironmentNode } from './environment.ts'
import type { ConfigFault } from './error.ts'
import type { JsonSchema } from './schema-view.ts'
import { Text } from './text.ts'

export interface ResolveContext {
  readonly root: JsonSchema
  readonly faults: ConfigFault[]
  /** Reads the file that a `…_file` key names, and resolves relative names. */
  readonly readFile: (path: string) => string
}

/** The input for one key: its value in the file, and its node in the environment. */
export interface KeyInput {
  readonly path: string
  /** The value in the TOML, or a `Text` from a `…_file`. `undefined` if absent. */
  readonly value: unknown
  readonly env?: EnvironmentNode | undefined
}

export type Table = Readonly<Record<string, unknown>>

/** The value of a key whose fault is already recorded. */
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
