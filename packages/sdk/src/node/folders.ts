/** The folders in which OpenStack clients look for their files. */
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Variables by name, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The home directory: `HOME`, or else the system's. */
export const home = (env: Environment) => env.HOME || homedir()

/** The folders to search for configuration, in order. */
export const folders = (env: Environment) => [
  process.cwd(),
  join(env.XDG_CONFIG_HOME || join(home(env), '.config'), 'openstack'),
  '/etc/openstack',
]
