/** Environment variables as a tree that follows the tables: `ORIEL_TOKENS__TTL_SECONDS` is `tokens` → `ttl_seconds`. */

/** One step of a variable's name. */
export interface EnvironmentNode {
  /** The variable's name as far as this step. */
  readonly name: string
  /** The variable's value, when a variable ends here. */
  text?: string
  readonly children: Map<string, EnvironmentNode>
}

export const PREFIX = 'ORIEL_'

/** Variables that are read elsewhere and do not set a configuration key: the log level, and those of the command `oriel`. */
const RESERVED = ['ORIEL_LOG_LEVEL', 'ORIEL_ENDPOINT', 'ORIEL_TOKEN', 'ORIEL_DEBUG']

/** Returns the tree of all `ORIEL_` variables, except for the reserved and the ignored ones. */
export function environmentTree(
  env: Readonly<Record<string, string | undefined>>,
  ignored: readonly string[],
): EnvironmentNode {
  const root = node(PREFIX)
  const skipped = new Set([...RESERVED, ...ignored])
  for (const [name, text] of Object.entries(env).sort()) {
    if (text !== undefined && name.startsWith(PREFIX) && !skipped.has(name)) insert(root, name, text)
  }
  return root
}

/** Whether any variable sets a key. */
export function hasVariables(env: Readonly<Record<string, string | undefined>>, ignored: readonly string[]): boolean {
  return variables(environmentTree(env, ignored)).some((variable) => !isServiceLink(variable))
}

/** Normalises a key, or a step of a variable's name, for comparison: lower case, with `_` for all but letters and digits. */
export function segmentOf(key: string): string {
  return key.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '_')
}

/** The variable that sets a key. */
export function variableName(path: readonly string[]): string {
  return PREFIX + path.map((key) => segmentOf(key).toUpperCase()).join('__')
}

/** Every variable at or below a node. */
export function variables(from: EnvironmentNode): readonly { name: string; text: string }[] {
  const own = from.text === undefined ? [] : [{ name: from.name, text: from.text }]
  return [...own, ...[...from.children.values()].flatMap(variables)]
}

/**
 * Whether a container runtime, and not the operator, set the variable for a service whose name starts with `oriel`:
 * Kubernetes sets `ORIEL_API_SERVICE_HOST`, `ORIEL_API_PORT=tcp://…` and the like in every pod of the namespace.
 */
export function isServiceLink({ name, text }: { name: string; text: string }): boolean {
  if (/_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true
  return /_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(text)
}

function insert(root: EnvironmentNode, name: string, text: string): void {
  let at = root
  const steps = name.slice(PREFIX.length).split('__')
  for (const [index, step] of steps.entries()) {
    const segment = segmentOf(step)
    const next = at.children.get(segment) ?? node(PREFIX + steps.slice(0, index + 1).join('__'))
    at.children.set(segment, next)
    at = next
  }
  at.text = text
}

function node(name: string): EnvironmentNode {
  return { name, children: new Map() }
}
