/** Reads values from separate files: keys ending in `_file`, and PEM given as a file name. */
import { readingFailure } from '../read-file.ts'
import { fault } from './faults.ts'
import { type KeyInput, type ResolveContext, UNREADABLE } from './key-input.ts'
import { keyPath } from './path.ts'
import type { JsonSchema } from './schema-view.ts'
import * as Schema from './schema-view.ts'
import { Text } from './text.ts'
import { quote } from './words.ts'

/** Replaces each `x_file` by an `x` whose value is the file's text. */
export function readFiles(
  context: ResolveContext,
  schema: JsonSchema,
  path: string,
  entries: Map<string, KeyInput>,
): void {
  for (const [fileKey, file] of [...entries]) {
    const key = fileKey.replace(/_file$/, '')
    if (key === fileKey || Schema.property(schema, fileKey) || !Schema.property(schema, key)) continue
    entries.delete(fileKey)
    const plain = entries.get(key)
    if (plain && Boolean(plain.env) === Boolean(file.env)) {
      fault(context, file, `${key} is given too, give one of ${key} and ${fileKey}`)
    } else if (!plain?.env) {
      const inner = Schema.property(schema, key)!
      entries.set(key, { path: keyPath(path, key), value: fileText(context, inner, file) })
    }
  }
}

/** Returns the PEM text of a key, or the text of the file that it names. */
export function pemText(context: ResolveContext, schema: JsonSchema, input: KeyInput): unknown {
  const { value } = input
  const text = value instanceof Text ? value.text : value
  if (typeof text !== 'string' || text === '' || text.includes('-----BEGIN ')) return value
  return fileText(context, schema, { path: input.path, value: text })
}

function fileText(context: ResolveContext, schema: JsonSchema, { path, value, env }: KeyInput): unknown {
  const name = env?.text ?? value
  if (typeof name !== 'string' || name === '') {
    fault(context, { path }, 'give the name of a file, as text')
    return UNREADABLE
  }
  const isQuotable = !Schema.holdsSecret(schema) && isEvidentlyPath(name)
  try {
    return new Text(context.readFile(name).replace(/[\r\n]+$/, ''), isQuotable ? name : `the file of ${path}`)
  } catch (error) {
    fault(context, { path }, unreadable(schema, isQuotable ? name : undefined, readingFailure(error)))
    return UNREADABLE
  }
}

/** Omits a name that may be the value itself, pasted where the file's name belongs. */
function unreadable(schema: JsonSchema, name: string | undefined, reason: string): string {
  if (name !== undefined) return `cannot read ${quote(name)} (${reason}), give a file that this user may read`
  const remedy = Schema.isPem(schema)
    ? 'give the name of a file that this user may read, or PEM with its line -----BEGIN …'
    : 'give the name of a file that this user may read'
  return `cannot read the file that is named here (${reason}; the name is not shown, in case it is the value itself), ${remedy}`
}

/** Base64 has slashes too, but no dots: a file name has an extension or an explicit start. */
function isEvidentlyPath(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && /^(?:\.{0,2}\/)?[\w@%+~. /-]*\.\w{1,8}$|^\.{0,2}\/[\w@%~./-]+$/.test(name)
}

const MAX_NAME_LENGTH = 255
