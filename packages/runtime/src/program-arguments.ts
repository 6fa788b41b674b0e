/** The command line that all programs share. */
import { parseArgs } from 'node:util'

export interface ProgramArguments {
  /** The file named by `--config`. */
  readonly config?: string
  readonly checkConfig: boolean
  /** With `checkConfig`: whether to contact the configured services as well. */
  readonly online: boolean
  /** Whether to ask a running program whether it is alive, instead of starting one. */
  readonly health: boolean
  readonly help: boolean
  readonly version: boolean
  /** The program's own flags by name; false when absent. */
  readonly flags: Readonly<Record<string, boolean>>
}

/** Flags that a program adds: name (without dashes) to a line of help. */
export type FlagHelp = Readonly<Record<string, string>>

const COMMON: FlagHelp = {
  'config FILE': 'read the configuration from FILE (TOML)',
  'check-config': 'check the configuration, print every fault, start nothing',
  online: 'with --check-config: also sign in and contact the configured services',
  health: 'ask the running program with this configuration whether it is alive, exit with 0 or 1',
  help: 'print this text',
  version: 'print the version',
}

/**
 * Reads the arguments after the program's name.
 * @throws TypeError for an unknown argument.
 */
export function programArguments(argv: readonly string[], flags: FlagHelp = {}): ProgramArguments {
  const flag = { type: 'boolean', default: false } as const
  const own = Object.fromEntries(Object.keys(flags).map((name) => [name, flag]))
  const common = {
    config: { type: 'string' },
    'check-config': flag,
    online: flag,
    health: flag,
    help: flag,
    version: flag,
  } as const
  const { values } = parseArgs({ args: [...argv], options: { ...own, ...common }, strict: true })
  if (values.online && !values['check-config']) throw new TypeError('--online is only for --check-config')
  if (values.health && values['check-config']) throw new TypeError('--health and --check-config exclude each other')
  return {
    ...(values.config === undefined ? {} : { config: String(values.config) }),
    checkConfig: values['check-config'] === true,
    online: values.online === true,
    health: values.health === true,
    help: values.help === true,
    version: values.version === true,
    flags: Object.fromEntries(
      Object.keys(flags).map((name) => [name, (values as Record<string, unknown>)[name] === true]),
    ),
  }
}

/** The text of `--help`. */
export function helpText(name: string, flags: FlagHelp = {}): string {
  const rows = Object.entries({ ...COMMON, ...flags }).map(([flag, help]) => `  --${flag.padEnd(14)} ${help}\n`)
  const environment = 'Every key of the file can be set as ORIEL_KEY or ORIEL_TABLE__KEY in the environment.\n'
  return `Usage: ${name} [options]\n\n${rows.join('')}\n${environment}`
}
