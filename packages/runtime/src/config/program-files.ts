/** Recognises the configuration file of another Oriel program, to report one mistake instead of one for each key. */

export interface ProgramFile {
  readonly program: string
  /** The file's name in a message, with its article. */
  readonly called: string
  /** Top-level keys that only this program's file has. */
  readonly ownKeys: readonly string[]
}

export const programFiles: readonly ProgramFile[] = [
  {
    program: 'oriel-api',
    called: 'an api.toml',
    ownKeys: ['tls', 'public_url', 'auth', 'policy', 'tokens', 'screenshots', 'cors', 'limits', 'sources'],
  },
  {
    program: 'oriel-proxy',
    called: 'a proxy.toml',
    ownKeys: ['authority', 'spice', 'origin', 'hypervisor', 'home'],
  },
  { program: 'oriel', called: "oriel's own file, with [api] and [proxy]", ownKeys: ['api', 'proxy'] },
]

/**
 * Returns the other program whose file has the top-level keys `given`, if at least one key is that program's own and none is
 * `program`'s own. Returns `undefined` if `program` is not one of the three.
 */
export function otherProgramOf(program: string, given: readonly string[]): ProgramFile | undefined {
  const own = programFiles.find((file) => file.program === program)
  if (!own || own.ownKeys.some((key) => given.includes(key))) return undefined
  const others = programFiles.filter((file) => file !== own && file.ownKeys.some((key) => given.includes(key)))
  return others.length === 1 ? others[0] : undefined
}
