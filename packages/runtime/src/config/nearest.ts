/** Finds the known key that a mistyped one was probably meant to be. */
import { distance } from 'fastest-levenshtein'
import { variableName } from './environment.ts'
import { joinPath, keyPath } from './path.ts'
import { type JsonSchema, knownPaths } from './schema-view.ts'

/** Added to the distance of keys in other tables, so that keys of the same table are preferred. */
const OTHER_TABLE_COST = 2

interface Candidate {
  readonly name: string
  readonly cost: number
}

/** Returns the full path of the known key nearest to `key` in the table at `path`. `undefined` if the schema has no keys. */
export function nearestKey(root: JsonSchema, siblings: readonly string[], path: string, key: string) {
  const here = siblings.map((name) => ({ name: keyPath(path, name), cost: distance(key, name) }))
  // Another member of a union may have a key at the very path that was refused.
  const refused = keyPath(path, key).replace(/\[\d+\]/g, '[]')
  const elsewhere = knownPaths(root)
    .map((segments) => ({ name: joinPath(segments), cost: distance(key, segments.at(-1)!) + OTHER_TABLE_COST }))
    .filter(({ name }) => name !== refused)
  return nearest([...here, ...elsewhere])
}

/** Returns the variable nearest to `name`, and the path of the key that it sets. */
export function nearestVariable(root: JsonSchema, name: string): { variable: string; path: string } | undefined {
  const known = knownPaths(root).map((segments) => ({ variable: variableName(segments), path: joinPath(segments) }))
  const found = nearest(known.map(({ variable }) => ({ name: variable, cost: distance(name, variable) })))
  return known.find(({ variable }) => variable === found)
}

function nearest(candidates: readonly Candidate[]): string | undefined {
  return candidates.toSorted((a, b) => a.cost - b.cost)[0]?.name
}
