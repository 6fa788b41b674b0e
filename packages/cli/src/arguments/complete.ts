/** Completes the word at the end of a command line. */
import { commandNames, commandOf } from '../commands/index.ts'
import { globalOptions, type Options, type Values } from './options.ts'
import { commandAt, parse } from './parse.ts'

/** How long a person who pressed Tab waits for names of servers. */
const TIMEOUT_SECONDS = '5'

/** Returns the candidates for the last of `words`: commands, options, values of options, or names of servers. */
export async function candidates(words: readonly string[]): Promise<string[]> {
  const current = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const offered = await offersFor(before, current)
  return offered.filter((candidate) => candidate.startsWith(current))
}

async function offersFor(before: readonly string[], current: string): Promise<readonly string[]> {
  const name = before[commandAt(before)]
  const command = name === undefined ? undefined : commandOf(name)
  const options: Options = { ...globalOptions, ...command?.options }
  const last = before.at(-1)
  const pending = last?.startsWith('--') ? options[last.slice(2)] : undefined
  if (pending?.value !== undefined)
    return pending.choices ?? (pending.value === 'SERVER' ? names(before.slice(0, -1), options) : [])
  if (current.startsWith('-')) return Object.keys(options).map((option) => `--${option}`)
  if (command === undefined) return name === undefined ? [...commandNames, 'help'] : name === 'help' ? commandNames : []
  const { words } = parse(before, options)
  const offer = command.completes?.[words.length - 1]
  return offer === 'servers' ? names(before, options) : (offer ?? [])
}

async function names(before: readonly string[], options: Options): Promise<string[]> {
  const [{ signIn }, { listServers }] = await Promise.all([
    import('../cloud/sign-in.ts'),
    import('../cloud/servers.ts'),
  ])
  const values: Values = { ...parse(before, options).values, timeout: TIMEOUT_SECONDS }
  const servers = await listServers(signIn(values).client)
  const all = servers.map(({ name }) => name)
  // A name of several servers is ambiguous, so their ids are offered.
  return servers.map(({ id, name }) => (all.indexOf(name) === all.lastIndexOf(name) && name !== '' ? name : id))
}
