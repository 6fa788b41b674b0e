/** Placeholders in recordings: `{{server_id}}` and its kin stand for what differs from run to run. */

/** Values by name, such as `server_id`, `token` or `auth:member`. */
export type Values = ReadonlyMap<string, string>

const PLACEHOLDER = /\{\{([A-Za-z_]+(?::[A-Za-z0-9_]+)?)\}\}/g
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
/** What stands for something that each run makes anew, as patterns. */
const anything: Readonly<Record<string, string>> = { token: UUID, internal_access_path: UUID }

/** `text` with every placeholder replaced. @throws for a name that has no value, since nothing sensible could be sent. */
export function fill(text: string, values: Values): string {
  return text.replace(PLACEHOLDER, (_, name: string) => valueFor(name, values))
}

// Variants: upper case, `_nodash`, and `_pct`, with every dash percent-encoded.
function valueFor(name: string, values: Values): string {
  const exact = values.get(name)
  if (exact !== undefined) return exact
  if (name.endsWith('_nodash')) return valueFor(name.slice(0, -'_nodash'.length), values).replaceAll('-', '')
  if (name.endsWith('_pct')) return valueFor(name.slice(0, -'_pct'.length), values).replaceAll('-', '%2D')
  if (name !== name.toLowerCase()) return valueFor(name.toLowerCase(), values).toUpperCase()
  throw new Error(`The recording uses {{${name}}}, which has no value here`)
}

/**
 * Whether `actual` is what `recorded` stands for. In answers `{{token}}` is any fresh console token and
 * `{{internal_access_path}}` any UUID, since each run makes its own.
 */
export function fits(actual: string, recorded: string, values: Values): boolean {
  let pattern = ''
  let end = 0
  for (const match of recorded.matchAll(PLACEHOLDER)) {
    pattern += quoted(recorded.slice(end, match.index)) + patternOf(match[1]!, values)
    end = match.index + match[0].length
  }
  return new RegExp(`^${pattern}${quoted(recorded.slice(end))}$`, 's').test(actual)
}

function patternOf(name: string, values: Values): string {
  return anything[name] ?? quoted(valueFor(name, values))
}

const quoted = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
