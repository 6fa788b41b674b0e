/** Values that arrive as text, from the environment or a file, and their conversion to a schema's type. */
import { parse } from 'smol-toml'
import { type JsonSchema, literals } from './schema-view.ts'

/** Text with its origin, converted once the schema of its key is known. */
export class Text {
  readonly text: string
  /** The variable or file, for messages. */
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

/** Converts text to the schema's type. Returns it unchanged if that is impossible, so that the schema's check reports it. */
export function convert(text: string, schema: JsonSchema): unknown {
  const listed = literals(schema)?.find((literal) => String(literal) === text)
  if (listed !== undefined) return listed
  if (schema.type === 'boolean') return BOOLEANS[text.trim().toLowerCase()] ?? text
  if (schema.type === 'number' || schema.type === 'integer') return toNumber(text)
  return text
}

/** Parses a list or table in TOML's inline form. Returns `undefined` for other text. */
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
