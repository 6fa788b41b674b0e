/** Values that stand in a file of their own: keys ending in `_file`, and PEM that is given by its file's name. */
import { fault } from './faults.ts'
import { keyPath } from './path.ts'
import { type Place, type ResolveContext, UNREADABLE } from './place.ts'
import type { JsonSchema } from './schema-view.ts'
import * as Schema from './schema-view.ts'
import { Text } from './text.ts'
import { quote } from './words.ts'

/** Replaces each `x_file` by an `x` whose value is the file's text. */
export function readFiles(
  context: ResolveContext,
  schema: JsonSchema,
  path: string,
  entries: Map<string, Place>,
): void {
  for (const [fileKey, file] of [...entries]) {
    const key = fileKey.replace(/_file$/, '')
    if (key === fileKey || Schema.property(schema, fileKey) || !Schema.property(schema, key)) continue
    entries.delete(fileKey)
    const plain = entries.get(key)
    if (plain && Boolean(plain.env) === Boolean(file.env)) {
      fault(context, file, `${key} is given too, give one of ${key} and ${fileKey}`)
    } else if (!plain?.env) {
      entries.set(key, { path: keyPath(path, key), value: fileText(context, file) })
    }
  }
}

/** What a key for PEM says: the text itself, or that of the file which it names. */
export function pemText(context: ResolveContext, place: Place): unknown {
  const { value } = place
  const text = value instanceof Text ? value.text : value
  if (typeof text !== 'string' || text === '' || text.includes('-----BEGIN ')) return value
  return fileText(context, { path: place.path, value: text })
}

function fileText(context: ResolveContext, { path, value, env }: Place): unknown {
  const name = env?.text ?? value
  if (typeof name !== 'string' || name === '') {
    fault(context, { path }, 'give the name of a file, as text')
    return UNREADABLE
  }
  try {
    return new Text(context.readFile(name).replace(/[\r\n]+$/, ''), name)
  } catch (error) {
    fault(context, { path }, `cannot read ${quote(name)} (${reasonOf(error)}), give a file that this user may read`)
    return UNREADABLE
  }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : 'it failed'
}
