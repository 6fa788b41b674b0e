/** Values that arrive as text, from the environment or a file, and what becomes of them under a schema. */
import { parse } from 'smol-toml'
import { type JsonSchema, literals } from './schema-view.ts'

/** Text with its origin, kept as it is until the schema of its key is known. */
export class Text {
  readonly text: string
  /** The variable or file it came from, for messages. */
  readonly origin: string

  constructor(text: string, origin: string) {
    this.text = text
    this.origin = origin
  }
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

/** The text as the schema's type; text that cannot be converted stays text, and the schema's check then refuses it. */
export function convert(text: string, schema: JsonSchema): unknown {
  const listed = literals(schema)?.find((literal) => String(literal) === text)
  if (listed !== undefined) return listed
  if (schema.type === 'boolean') return BOOLEANS[text.trim().toLowerCase()] ?? text
  if (schema.type === 'number' || schema.type === 'integer') return toNumber(text)
  return text
}

/** A list or table written as TOML in one line; undefined when the text is neither. */
export function parseInline(text: string): unknown {
  try {
    const table = parse(`v = ${text.trim()}`)
    return Object.keys(table).length === 1 && typeof table.v === 'object' ? table.v : undefined
  } catch {
    return undefined
  }
}

function toNumber(text: string): unknown {
  return /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : text
}
