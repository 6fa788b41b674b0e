/** Records the faults of keys and variables. */
import { type EnvironmentNode, isServiceLink, variables } from './environment.ts'
import type { ResolveContext } from './key-input.ts'
import { nearestKey, nearestVariable } from './nearest.ts'
import { keyPath } from './path.ts'
import type { JsonSchema } from './schema-view.ts'
import { Text } from './text.ts'
import { describe, misfit } from './words.ts'

export function fault(context: ResolveContext, { path }: { path: string }, message: string): undefined {
  context.faults.push({ path, message })
}

export function wrongShape(schema: JsonSchema, value: unknown): string {
  if (!(value instanceof Text)) return misfit(schema, value, { keyword: 'type', message: '' })
  return `does not read as ${describe(schema)}, write it as TOML in one line${originOf(value)}`
}

export function unknownKey(context: ResolveContext, schema: JsonSchema, path: string, key: string): void {
  const nearest = nearestKey(context.root, Object.keys(schema.properties ?? {}), path, key)
  const remedy = nearest === undefined ? 'remove it' : `the nearest known key is ${nearest}`
  fault(context, { path: keyPath(path, key) }, `unknown key, ${remedy}`)
}

export function unknownVariables(context: ResolveContext, env: EnvironmentNode): void {
  for (const variable of variables(env)) {
    if (isServiceLink(variable)) continue
    const nearest = nearestVariable(context.root, variable.name)
    const remedy = nearest ? `the nearest known one is ${nearest.variable} for ${nearest.path}` : 'remove it'
    fault(context, { path: variable.name }, `sets no known key, ${remedy}`)
  }
}

export function originOf(value: unknown): string {
  return value instanceof Text ? ` (from ${value.origin})` : ''
}
