/** The texts of `--help`. */
import type { Command } from '../commands/command.ts'
import { commandNames, commands } from '../commands/index.ts'
import { globalOptions, type Options } from './options.ts'

/** Returns the help of the whole command. */
export function overview(): string {
  const rows = commandNames.map((name) => [`${name} ${commands[name].usage}`.trim(), commands[name].summary] as const)
  return [
    'oriel: consoles of virtual machines',
    '',
    'usage: oriel COMMAND [OPTIONS]',
    '',
    ...columns(rows),
    '',
    'options of every command:',
    ...optionLines(globalOptions),
    '',
    'It signs in as `openstack` does: OS_* variables, --os-cloud, or the only cloud of clouds.yaml.',
    'oriel COMMAND --help has the options of a command.',
  ].join('\n')
}

/** Returns the help of one command. */
export function helpOf(name: string, { usage, summary, options, notes }: Command): string {
  const own = Object.keys(options).length === 0 ? [] : ['', 'options:', ...optionLines(options)]
  return [
    `usage: ${['oriel', name, usage].filter(Boolean).join(' ')} [OPTIONS]`,
    '',
    `${summary[0]!.toUpperCase()}${summary.slice(1)}.`,
    ...(notes === undefined ? [] : [notes]),
    ...own,
    '',
    'oriel --help has the options of every command.',
  ].join('\n')
}

const optionLines = (options: Options) =>
  columns(
    Object.entries(options).map(([name, { short, value, help }]) => {
      const long = value === undefined ? `--${name}` : `--${name} ${value}`
      return [short === undefined ? long : `-${short}, ${long}`, help] as const
    }),
  )

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
