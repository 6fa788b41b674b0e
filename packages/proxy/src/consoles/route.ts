/** Which console type a request is for: that of the listener, or, where it serves several, that of its path's prefix. */
import type { ServedConsoleType } from './kinds.ts'

export interface ConsoleRoute {
  readonly type: ServedConsoleType
  /** The path below the prefix, beginning with a slash; as it came, not decoded. */
  readonly path: string
}

/** The route of a request target, or `undefined` where a listener of several types is addressed without a prefix. */
export function routeOf(consoles: readonly ServedConsoleType[], target: string): ConsoleRoute | undefined {
  const path = target.split(/[?#]/, 1)[0]!
  if (consoles.length === 1) return { type: consoles[0]!, path }
  const type = consoles.find((name) => path.startsWith(`/${name}/`))
  return type && { type, path: path.slice(type.length + 1) }
}
