/**
 * What tests need from the system. Without it they are skipped by a name that says what lacks; in CI, where nothing may
 * be skipped unseen, they fail instead.
 */
import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A part of the system that some tests need. */
export type Part =
  | 'qemu'
  | 'chromium'
  | 'openstack client'
  | 'keystone'
  | 'haproxy'
  | 'remote-viewer'
  | 'libvirt'
  | 'postgres'
  | 'mariadb'

export interface Requirement {
  /** For `describe.skipIf` and `test.skipIf`. */
  readonly skip: boolean
  /** Empty, or what lacks and what to do about it: put it into the suite's name. */
  readonly reason: string
}

const remedy = 'run tests/install-debian-packages'

/**
 * Whether all parts are here.
 *
 * @example
 * const { skip, reason } = requires('qemu', 'chromium')
 * describe.skipIf(skip)(`a page shows a real guest${reason}`, () => {})
 *
 * @throws Error when a part is missing and the environment says `CI=true`.
 */
export function requires(...parts: Part[]): Requirement {
  const missing = parts.filter((part) => !hasPart(part))
  return requirement(missing.join(', '), missing.length === 0, remedy)
}

/**
 * The same for anything else that a test needs.
 * @param hint what to do when it is absent.
 * @throws Error when it is absent and the environment says `CI=true`.
 */
export function requirement(name: string, present: boolean, hint: string): Requirement {
  if (present) return { skip: false, reason: '' }
  if (process.env.CI === 'true') throw new Error(`Missing: ${name}. Remedy: ${hint}`)
  return { skip: true, reason: ` (skipped without ${name}: ${hint})` }
}

export function hasPart(part: Part): boolean {
  return present[part]()
}

export function hasQemu(): boolean {
  return hasPart('qemu')
}

export function hasChromium(): boolean {
  return hasPart('chromium')
}

/** Where Chromium is: `ORIEL_CHROMIUM`, or Debian's place. */
export function chromiumPath(): string {
  return process.env.ORIEL_CHROMIUM ?? '/usr/bin/chromium'
}

const present = {
  qemu: () => hasCommand('qemu-system-x86_64'),
  chromium: () => isExecutable(chromiumPath()),
  'openstack client': () => hasCommand('openstack'),
  keystone: () => hasCommand('keystone-manage') && hasCommand('keystone-wsgi-public'),
  haproxy: () => hasCommand('haproxy'),
  'remote-viewer': () => hasCommand('remote-viewer'),
  libvirt: () => hasCommand('libvirtd') && hasCommand('virsh'),
  postgres: () => hasCommand('postgres') || debianPostgres().some(isExecutable),
  mariadb: () => hasCommand('mariadbd'),
} satisfies Record<Part, () => boolean>

/** Daemons live outside of many users' PATH. */
const daemonFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

function hasCommand(name: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...daemonFolders]
  return folders.some((folder) => isExecutable(join(folder, name)))
}

function debianPostgres(): string[] {
  const folder = '/usr/lib/postgresql'
  return listed(folder).map((version) => join(folder, version, 'bin', 'postgres'))
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
