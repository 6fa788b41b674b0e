/** The description of options, for parsing, help and completion. */

/** An option: its description, and the name of its value in the help if it has one. */
export interface Option {
  readonly help: string
  readonly short?: string
  /** The value's name in the help, such as `FILE`. Absent: a switch. */
  readonly value?: string
  /** The values that the option accepts. Default: any. */
  readonly choices?: readonly string[]
}

export type Options = Readonly<Record<string, Option>>

/** The options of every command. */
export const globalOptions = {
  'os-cloud': { value: 'NAME', help: 'sign in to this cloud of clouds.yaml' },
  endpoint: { value: 'URL', help: 'the compute API, such as http://127.0.0.1:8774/v2.1 (ORIEL_ENDPOINT)' },
  token: { value: 'TOKEN', help: 'the token for --endpoint; rather set ORIEL_TOKEN, which `ps` does not show' },
  timeout: { value: 'SECONDS', help: 'how long to wait for an answer; default 30' },
  json: { help: 'print JSON' },
  help: { short: 'h', help: 'print this help' },
  version: { help: 'print the version' },
} as const satisfies Options

/** The values of options by name: text for options with a value, true for switches that were given. */
export type Values = Readonly<Record<string, string | true | undefined>>

/** Returns the text of an option, or `undefined` if it was not given. */
export const textOf = (values: Values, name: string): string | undefined => {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}
