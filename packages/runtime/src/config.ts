/** Loads the configuration: a TOML file overridden by the environment, checked against a TypeBox schema, then frozen. */
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
  /** The program, such as `oriel-api`: a file for another Oriel program is reported as one fault. Default: not checked. */
  readonly program?: string | undefined
  /** The file's text. Default: empty, so that all values come from the environment and from defaults. */
  readonly toml?: string | undefined
  /** The environment, of which only names that start with `ORIEL_` are read. Default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Names of `ORIEL_` variables to ignore, besides `ORIEL_LOG_LEVEL`. Any other variable that sets no key is a fault. */
  readonly ignoreEnv?: readonly string[]
  /** The folder that relative names in `…_file` keys are resolved against. Default: the working folder. */
  readonly baseDir?: string | undefined
  /** Reads the file that a `…_file` key names, by absolute path. Default: from disk, as UTF-8, at most 16 MiB. */
  readonly readFile?: (path: string) => string
  /** Called before each file that a key names is read, with its absolute path. */
  readonly onFile?: (path: string) => void
  /** Checks that concern several keys at once. Called if each key is valid by itself. */
  readonly refine?: ((config: Type.Static<S>) => readonly ConfigFault[]) | undefined
  /** Called for each warning that `refine` returns. Default: warnings are dropped. */
  readonly onWarning?: ((warning: ConfigFault) => void) | undefined
}

/**
 * Loads a configuration: TOML, overridden by the environment (`ORIEL_` + key path in upper case, `__` between tables),
 * with defaults filled in, secrets wrapped, and all tables frozen.
 *
 * A key `x_file` sets `x` to the text of a file. `x` or `x_file` in the environment overrides both in the TOML.
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
    // Without a `cause`: the message of the TomlError quotes the line, which may contain a secret.
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
