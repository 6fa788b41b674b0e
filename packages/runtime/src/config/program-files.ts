/** Recognises the configuration file of another Oriel program, which is one mistake and not one for each key in it. */

export interface ProgramFile {
  readonly program: string
  /** With its article. */
  readonly called: string
  /** Keys at the top of the file that no other program's file has. */
  readonly ownKeys: readonly string[]
}

/** The files of the three programs. */
export const programFiles: readonly ProgramFile[] = [
  {
    program: 'oriel-api',
    called: 'an api.toml',
    ownKeys: ['public_url', 'auth', 'policy', 'tokens', 'cors', 'limits', 'sources'],
  },
  {
    program: 'oriel-proxy',
    called: 'a proxy.toml',
    ownKeys: ['authority', 'spice', 'origin', 'hypervisor', 'home', 'admin'],
  },
  { program: 'oriel', called: "oriel's own file, with [api] and [proxy]", ownKeys: ['api', 'proxy'] },
]

/**
 * The program whose file has the keys `given` at its top, when that is evidently another one than `program`: at least one
 * key is that program's own, and none is `program`'s own. Undefined for a program that is not among the three.
 */
export function otherProgramOf(program: string, given: readonly string[]): ProgramFile | undefined {
  const own = programFiles.find((file) => file.program === program)
  if (!own || own.ownKeys.some((key) => given.includes(key))) return undefined
  const others = programFiles.filter((file) => file !== own && file.ownKeys.some((key) => given.includes(key)))
  return others.length === 1 ? others[0] : undefined
}
