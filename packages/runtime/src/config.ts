/** Configuration: a TOML file under the environment, checked against a TypeBox schema once, then frozen. */
import { resolve as resolvePath } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import type * as Type from 'typebox'
import { environmentTree } from './config/environment.ts'
import { ConfigError, type ConfigFault } from './config/error.ts'
import { otherProgramOf } from './config/program-files.ts'
import { resolve } from './config/resolve.ts'
import type { JsonSchema } from './config/schema-view.ts'
import { syntaxFault } from './config/syntax.ts'
import { readTextFile } from './read-file.ts'

export interface ConfigInput<S extends Type.TSchema = Type.TSchema> {
  /** The program that is configured, such as `oriel-api`: the file of another one is one fault. Default: none. */
  readonly program?: string | undefined
  /** The file's text. Default: none, so everything comes from the environment and from defaults. */
  readonly toml?: string | undefined
  /** The environment; only names that start with `ORIEL_` are looked at. Default: none. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Names of `ORIEL_` variables that are no keys and no faults. `ORIEL_LOG_LEVEL` never is one. */
  readonly ignoreEnv?: readonly string[]
  /** The folder from which relative names in `…_file` keys count. Default: the working folder. */
  readonly baseDir?: string | undefined
  /** Reads the file that a `…_file` key names, by absolute path. Default: from disk, as UTF-8, at most 16 MiB. */
  readonly readFile?: (path: string) => string
  /** Told of each file that a key names, by absolute path, before it is read. */
  readonly onFile?: (path: string) => void
  /** Checks that concern several keys at once; called when each key is right by itself. */
  readonly refine?: ((config: Type.Static<S>) => readonly ConfigFault[]) | undefined
  /** Called for each warning that `refine` returns. Default: warnings are dropped. */
  readonly onWarning?: ((warning: ConfigFault) => void) | undefined
}

/**
 * Loads a configuration: TOML, overridden by the environment (`ORIEL_` + key path in upper case, `__` between tables),
 * defaults filled in, secrets wrapped, everything frozen.
 *
 * A key `x_file` gives `x` the text of a file. The environment's `x` or `x_file` stands above the file's.
 * @throws ConfigError with every fault found.
 */
export function loadConfig<S extends Type.TSchema>(schema: S, input: ConfigInput<S>): Type.Static<S> {
  const faults: ConfigFault[] = []
  const root = schema as unknown as JsonSchema
  const value = parseToml(input.toml ?? '', root)
  refuseOtherFile(input.program, value)
  const config = resolve({ root, faults, readFile: fileReader(input) }, root, {
    path: '',
    value,
    env: environmentTree(input.env ?? {}, input.ignoreEnv ?? []),
  }) as Type.Static<S>
  const found = faults.length === 0 ? (input.refine?.(config) ?? []) : []
  for (const warning of found.filter(isWarning)) input.onWarning?.(warning)
  faults.push(...found.filter((fault) => !isWarning(fault)))
  if (faults.length > 0) throw new ConfigError(faults)
  return config
}

const isWarning = ({ severity }: ConfigFault) => severity === 'warning'

function refuseOtherFile(program: string | undefined, value: object): void {
  const other = program === undefined ? undefined : otherProgramOf(program, Object.keys(value))
  if (other) throw new ConfigError([{ path: '', message: `this is ${other.called}: give it to ${other.program}` }])
}

function parseToml(text: string, root: JsonSchema): object {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // No cause: its message quotes the line, which may hold a secret.
    throw new ConfigError([syntaxFault(error, text, root)])
  }
}

function fileReader({ baseDir = '.', readFile = readTextFile, onFile }: ConfigInput) {
  return (name: string) => {
    const path = resolvePath(baseDir, name)
    onFile?.(path)
    return readFile(path)
  }
}
