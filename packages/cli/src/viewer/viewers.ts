/** Finds viewers, and builds their command lines. */
import { accessSync, constants, statSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { Failure } from '../failure.ts'

/** A TCP address for a viewer. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** The VNC viewers that are looked for, in this order, with the argument that each takes. */
const vncViewers = {
  vncviewer: display,
  xtigervncviewer: display,
  'remote-viewer': ({ host, port }: Address) => `vnc://${host}:${port}`,
  // Its number of a display may be above those of X.
  gvncviewer: ({ host, port }: Address) => `${host}:${port - 5900}`,
} as const

/** With two colons the number is a port and not a display. */
function display({ host, port }: Address): string {
  return `${host}::${port}`
}

/**
 * Returns the command line of a VNC viewer: of `wanted`, else of the first on PATH. Returns `undefined` without a viewer or a
 * screen to show it on, and if `wanted` is `none`. In `wanted`, {host}, {port} and {address} are replaced; without them the
 * address is added.
 */
export function vncCommand(wanted: string | undefined, address: Address, env = process.env): string[] | undefined {
  if (wanted === 'none') return undefined
  if (wanted !== undefined) return filledIn(wanted, address)
  const found = hasScreen(env) ? Object.keys(vncViewers).find((name) => onPath(name, env)) : undefined
  return found === undefined ? undefined : [found, argumentOf(found, address)]
}

function filledIn(wanted: string, address: Address): string[] {
  const { host, port } = address
  const words = wanted.split(/\s+/).filter(Boolean)
  if (words.length === 0) throw new Failure('usage', '--viewer needs a command, or `none`.')
  if (!/\{(host|port|address)\}/.test(wanted)) return [...words, argumentOf(basename(words[0]!), address)]
  const values = { '{host}': host, '{port}': String(port), '{address}': display(address) }
  return words.map((word) =>
    word.replaceAll(/\{(?:host|port|address)\}/g, (name) => values[name as keyof typeof values]),
  )
}

const argumentOf = (viewer: string, address: Address): string =>
  Object.hasOwn(vncViewers, viewer) ? vncViewers[viewer as keyof typeof vncViewers](address) : display(address)

/** Returns the command line that opens a `.vv` file, or `undefined` if there is no viewer or no screen. */
export function spiceCommand(wanted: string | undefined, file: string, env = process.env): string[] | undefined {
  if (wanted === 'none') return undefined
  if (wanted !== undefined) return [...wanted.split(/\s+/).filter(Boolean), file]
  return hasScreen(env) && onPath('remote-viewer', env) ? ['remote-viewer', file] : undefined
}

/** Returns the command that opens a URL in the browser, or `undefined` on a machine without one. */
export function browserCommand(env = process.env): string[] | undefined {
  const named = env.BROWSER?.split(/\s+/).filter(Boolean) ?? []
  if (named.length > 0) return named
  if (process.platform === 'darwin') return ['open']
  return hasScreen(env) && onPath('xdg-open', env) ? ['xdg-open'] : undefined
}

/** macOS and Windows always have a screen; elsewhere X or Wayland name theirs. */
const hasScreen = (env: NodeJS.ProcessEnv) =>
  ['darwin', 'win32'].includes(process.platform) || Boolean(env.DISPLAY || env.WAYLAND_DISPLAY)

const onPath = (name: string, { PATH = '' }: NodeJS.ProcessEnv) =>
  PATH.split(delimiter).some((folder) => folder !== '' && isExecutable(join(folder, name)))

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
