/** Finds the command in a command line and runs it. */
import manifest from '../package.json' with { type: 'json' }
import { helpOf, overview } from './arguments/help.ts'
import { nearest, suggestion } from './arguments/nearest.ts'
import { globalOptions } from './arguments/options.ts'
import { commandAt, parse } from './arguments/parse.ts'
import type { Command } from './commands/command.ts'
import { commandNames, commandOf } from './commands/index.ts'
import { Failure } from './failure.ts'
import { echoed, print } from './output.ts'

/** Runs a command line, and resolves with the exit code. @throws Failure for expected failures */
export async function run(argv: readonly string[]): Promise<number> {
  if (argv[0] === COMPLETE) return complete(argv.slice(1))
  const at = commandAt(argv)
  const name = argv[at]
  const rest = argv.filter((_, i) => i !== at)
  if (name === undefined) return withoutCommand(rest)
  if (name === 'help') return printHelp(parse(rest, globalOptions).words[0])
  return runCommand(name, commandNamed(name), rest)
}

/** The hidden command that the scripts of `oriel completion` call. */
export const COMPLETE = '__complete'

async function complete(words: readonly string[]): Promise<number> {
  const { candidates } = await import('./arguments/complete.ts')
  // Completion must not print an error into the line that a person edits.
  for (const candidate of await candidates(words).catch(() => [])) print(candidate)
  return 0
}

async function runCommand(name: string, command: Command, argv: readonly string[]): Promise<number> {
  const { values, words } = parse(argv, { ...globalOptions, ...command.options })
  if (values.help !== undefined) return printHelp(name)
  if (values.version !== undefined) return printVersion()
  const [min, max] = command.words
  if (words.length < min) throw new Failure('usage', `oriel ${name} needs ${command.usage}. See oriel ${name} --help.`)
  if (words.length > max)
    throw new Failure('usage', `"${echoed(words[max]!)}" is one argument too many. See oriel ${name} --help.`)
  const { run } = await command.load()
  return (await run({ words, values })) ?? 0
}

function withoutCommand(argv: readonly string[]): number {
  const { values } = parse(argv, globalOptions)
  if (values.version !== undefined) return printVersion()
  if (values.help !== undefined) return printHelp(undefined)
  throw new Failure('usage', `which command? ${commandNames.join(', ')}. See oriel --help.`)
}

function printVersion(): number {
  print(manifest.version)
  return 0
}

function printHelp(name: string | undefined): number {
  print(name === undefined ? overview() : helpOf(name, commandNamed(name)))
  return 0
}

function commandNamed(name: string): Command {
  const command = commandOf(name)
  if (command !== undefined) return command
  const near = suggestion(nearest(name, commandNames))
  throw new Failure('usage', `There is no command ${echoed(name)}.${near || ` There are ${commandNames.join(', ')}.`}`)
}
