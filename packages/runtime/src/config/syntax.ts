/** Describes a syntax error in TOML: its position, the line with a caret, and a remedy. */
import type { TomlError } from 'smol-toml'
import { maskTokens } from '../mask.ts'
import type { ConfigFault } from './error.ts'
import { holdsSecret, type JsonSchema, members } from './schema-view.ts'

/** Returns the fault. Does not quote the line if, by the schema `root`, it may contain a secret. */
export function syntaxFault({ message, line, column }: TomlError, toml: string, root: JsonSchema): ConfigFault {
  const text = (toml.split(/\r?\n/)[line - 1] ?? '').trimEnd()
  const reason = message.split('\n')[0]!.replace('Invalid TOML document: ', '')
  const quoted = isHarmless(text, secrecyOf(root)) ? quotation(text, line, column) : ''
  return { path: '', message: `line ${line}, column ${column}: ${remedyOf(reason, text)}${quoted}` }
}

const QUOTED_CHARACTERS = 160

function quotation(text: string, line: number, column: number): string {
  if (text.length > QUOTED_CHARACTERS || maskTokens(text) !== text) return ''
  const margin = ' '.repeat(String(line).length)
  // Tabs are kept, so that the caret lines up with the row above.
  const before = text.slice(0, column - 1).replaceAll(/[^\t]/g, ' ')
  return `\n  ${line} | ${text}\n  ${margin} | ${before}^`
}

/** The remedy for each of smol-toml's reasons. Other reasons are shown unchanged. */
const REMEDIES: Readonly<Record<string, string>> = {
  'control characters are not allowed in strings':
    'this text has no closing quote, or a control character in it; give it both quotes on one line',
  'unfinished string': 'this quote is not closed; close it',
  'illegal character in numeric literal': 'this is not a number; put text in quotes: key = "text"',
  'invalid value': 'this is not a value; put text in quotes: key = "text", and write true and false in lower case',
  'illegal character in key': 'this is not a key; a line is key = value or [table]',
  'unexpected end of key': 'a key is missing; a line is key = value or [table]',
  'expected comma or end of structure':
    'a comma or the closing bracket is missing, here or in the line above; or a quote is',
  'each key-value declaration must be followed by an end-of-line':
    'something follows the value; put each key = value on a separate line, and close each quote',
  'trying to redefine an already defined table or value': 'this key or table is defined twice; keep one',
  'unrecognised escape sequence': "double the backslash, or put the text in single quotes: 'a\\b'",
}

function remedyOf(reason: string, text: string): string {
  if (reason === 'illegal character in key' && /^\s*\[[^\]]*$/.test(text)) {
    return 'the closing bracket of this table is missing'
  }
  return REMEDIES[reason] ?? reason
}

// Only lines that begin with keys or tables of the schema, none of them a secret, may be quoted. Any other line may be part
// of a secret, such as of a private key.

const WORD = /[\w-]+/g
const STEP = '(?:[\\w-]+|"[\\w:-]+")'
const PATH = `${STEP}(?:\\s*\\.\\s*${STEP})*`
const TABLE = new RegExp(`^\\s*\\[{1,2}\\s*(${PATH})[\\]\\s]*$`)
const ASSIGNMENT = new RegExp(`^\\s*(${PATH})\\s*=(.*)$`)

function isHarmless(text: string, secrecy: ReadonlyMap<string, boolean>): boolean {
  const table = TABLE.exec(text)
  if (table) return stepsOf(table[1]!).every((step) => secrecy.has(step))
  const [, path, value] = ASSIGNMENT.exec(text) ?? []
  if (path === undefined || value === undefined) return false
  const others = value.match(WORD) ?? []
  return stepsOf(path).every((step) => isOpen(step, secrecy)) && !others.some((word) => secrecy.get(word))
}

const stepsOf = (path: string) => path.split(/\s*\.\s*/).map((step) => step.replaceAll('"', ''))

/** Whether the key is known and its value may be shown. People paste secrets into `…_file` keys, so these count as secret. */
const isOpen = (key: string, secrecy: ReadonlyMap<string, boolean>) =>
  secrecy.get(key) === false || secrecy.get(key.replace(/_file$/, '')) === false

/** Every key that the schema names at any depth, and whether it or a key below it is a secret. */
function secrecyOf(schema: JsonSchema, found = new Map<string, boolean>()): ReadonlyMap<string, boolean> {
  for (const member of members(schema)) {
    for (const [key, inner] of Object.entries(member.properties ?? {})) {
      found.set(key, holdsSecret(inner) || found.get(key) === true)
      secrecyOf(inner, found)
    }
    if (member.items) secrecyOf(member.items, found)
    for (const inner of Object.values(member.patternProperties ?? {})) secrecyOf(inner, found)
  }
  return found
}
