/** Reads a cloud from `clouds.yaml`, `secure.yaml` (secrets) and `clouds-public.yaml` (the profiles of providers). */
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { SettingsError } from '../errors.ts'
import type { Cloud } from './cloud.ts'
import { type Environment, folders } from './folders.ts'
import { readSettingsFile } from './read-file.ts'

interface Wanted {
  readonly cloud: string | undefined
  readonly file: string | undefined
  readonly env: Environment
}

/** @throws SettingsError if the file does not exist, is not YAML, or does not contain the cloud */
export function readCloud({ cloud, file, env }: Wanted): Cloud {
  const given = file ?? env.OS_CLIENT_CONFIG_FILE
  const clouds = given ? read(given) : first('clouds', folders(env))
  if (clouds === undefined) throw new SettingsError(given ? `${given} does not exist` : notFound(env))
  const name = chosen(cloud ?? env.OS_CLOUD, cloudsOf(clouds.content, 'clouds'), clouds.path)
  const beside = [dirname(clouds.path), ...folders(env)]
  const secure = env.OS_CLIENT_SECURE_FILE ? read(env.OS_CLIENT_SECURE_FILE) : first('secure', beside)
  const own = merged(cloudsOf(clouds.content, 'clouds')[name], cloudsOf(secure?.content, 'clouds')[name])
  return merged(profileOf(own as Cloud, first('clouds-public', beside)?.content), own) as Cloud
}

type Tree = { readonly [name: string]: unknown }
interface Found {
  readonly path: string
  readonly content: unknown
}

const notFound = (env: Environment) => `There is no clouds.yaml in ${folders(env).join(', ')}`

function first(name: string, places: readonly string[]): Found | undefined {
  const paths = places.flatMap((place) => ['yaml', 'yml', 'json'].map((ending) => join(place, `${name}.${ending}`)))
  for (const path of paths) {
    const found = read(path)
    if (found !== undefined) return found
  }
  return undefined
}

function read(path: string): Found | undefined {
  const source = contentOf(path)
  if (source === undefined) return undefined
  try {
    // The failsafe schema keeps every value as text, so that 0123 is a password and not a number.
    return { path, content: parse(source, { schema: 'failsafe', merge: true, prettyErrors: false }) }
  } catch (error) {
    const { code, linePos } = error as { code?: string; linePos?: readonly { readonly line: number }[] }
    // The parser's message quotes the file, which may contain a password.
    throw new SettingsError(
      `${path} is not valid YAML: ${code ?? 'error'}${linePos ? ` in line ${linePos[0]?.line}` : ''}`,
    )
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readSettingsFile(path).toString('utf8')
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new SettingsError(`${path} cannot be read`, { cause })
  }
}

function chosen(wanted: string | undefined, clouds: Tree, path: string): string {
  const names = Object.keys(clouds)
  const name = wanted || (Object.hasOwn(clouds, 'openstack') ? 'openstack' : names.length === 1 ? names[0] : undefined)
  if (name === undefined) throw new SettingsError(`Which cloud of ${path}? It has: ${names.join(', ') || 'none'}`)
  if (!Object.hasOwn(clouds, name)) throw new SettingsError(`${path} has no cloud ${name}; it has: ${names.join(', ')}`)
  return name
}

function profileOf({ profile, cloud }: Cloud, content: unknown): unknown {
  const name = profile ?? cloud
  if (typeof name !== 'string') return {}
  const known = cloudsOf(content, 'public-clouds')
  if (Object.hasOwn(known, name)) return known[name]
  throw new SettingsError(`The profile ${name} is not in clouds-public.yaml`)
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
const cloudsOf = (content: unknown, key: string): Tree => (isTree(content) && isTree(content[key]) ? content[key] : {})

/** Merges `more` over `base`, member by member. */
function merged(base: unknown, more: unknown): unknown {
  if (!isTree(base) || !isTree(more)) return more ?? base
  const members = Object.entries(more).map(([name, value]) => [name, merged(base[name], value)] as const)
  return { ...base, ...Object.fromEntries(members) }
}
