/** Selects the console type of a request: the listener's, or, if it serves several, the one in the path's prefix. */
import type { ServedConsoleType } from './kinds.ts'

export interface ConsoleRoute {
  readonly type: ServedConsoleType
  /** The path below the prefix, with a leading slash. Not decoded. */
  readonly path: string
}

/** Returns the route of a request target, or `undefined` if the listener serves several types and the path has no prefix. */
export function routeOf(consoles: readonly ServedConsoleType[], target: string): ConsoleRoute | undefined {
  const path = target.split(/[?#]/, 1)[0]!
  if (consoles.length === 1) return { type: consoles[0]!, path }
  const type = consoles.find((name) => path.startsWith(`/${name}/`))
  return type && { type, path: path.slice(type.length + 1) }
}
