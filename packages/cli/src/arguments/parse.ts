/** Parses the command line. */
import { parseArgs } from 'node:util'
import { Failure } from '../failure.ts'
import { echoed } from '../output.ts'
import { nearest, suggestion } from './nearest.ts'
import { globalOptions, type Option, type Options, type Values } from './options.ts'

/** A parsed command line. */
export interface Parsed {
  readonly values: Values
  readonly words: readonly string[]
}

/** Returns the position of the command in `argv`: its first word that is neither an option nor the value of a global one. */
export function commandAt(argv: readonly string[]): number {
  const { tokens } = tokensOf(argv, globalOptions)
  return tokens.find(({ kind }) => kind === 'positional')?.index ?? -1
}

/**
 * Parses the arguments of a command.
 * @throws Failure for an unknown option, a missing or unexpected value, or a value that is not one of the option's choices
 */
export function parse(argv: readonly string[], options: Options): Parsed {
  const { tokens } = tokensOf(argv, options)
  const values: Record<string, string | true> = {}
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind === 'option')
      values[token.name] = checkedValue(token.rawName, token.value, options[token.name], options)
  }
  return { values, words }
}

function tokensOf(argv: readonly string[], options: Options) {
  const described = Object.entries(options).map(([name, { value, short }]) => [
    name,
    { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) },
  ])
  const config = { options: Object.fromEntries(described), strict: false, allowPositionals: true } as const
  return parseArgs({ args: [...argv], ...config, tokens: true })
}

function checkedValue(
  raw: string,
  value: string | undefined,
  option: Option | undefined,
  known: Options,
): string | true {
  if (option === undefined) throw unknownOption(raw, known)
  if (option.value === undefined) {
    if (value !== undefined) throw new Failure('usage', `${echoed(raw)} takes no value.`)
    return true
  }
  if (value === undefined || value === '') throw new Failure('usage', `${raw} needs a value: ${raw} ${option.value}.`)
  if (option.choices !== undefined && !option.choices.includes(value)) {
    throw new Failure('usage', `${raw} ${echoed(value)} is not known; choose ${option.choices.join(', ')}.`)
  }
  return value
}

function unknownOption(raw: string, known: Options): Failure {
  const near = nearest(raw.replace(/^-+/, ''), Object.keys(known)).map((name) => `--${name}`)
  return new Failure(
    'usage',
    `There is no option ${echoed(raw)}.${suggestion(near) || ' Put -- before an argument that begins with -.'}`,
  )
}

/** Returns a positive number of seconds as milliseconds. @throws Failure if it is another text */
export function millisecondsOf(option: string, text: string | undefined, defaultSeconds: number): number {
  const seconds = text === undefined ? defaultSeconds : Number(text)
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000
  throw new Failure('usage', `--${option} ${echoed(text!)} is not a number of seconds above 0 and up to 86400.`)
}
