/** Where OpenStack clients look for their files. */
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Variables by name, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The home directory, `HOME` first. */
export const home = (env: Environment) => env.HOME || homedir()

/** The folders in which configuration is looked for, first come first served. */
export const folders = (env: Environment) => [
  process.cwd(),
  join(env.XDG_CONFIG_HOME || join(home(env), '.config'), 'openstack'),
  '/etc/openstack',
]
