/**
 * Checks what tests need from the system. If something is missing, they are skipped, with the missing part in the
 * suite's name. In CI they fail instead, so that no test is skipped unnoticed.
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
  | 'nginx'
  | 'apache'
  | 'caddy'
  | 'remote-viewer'
  | 'libvirt'
  | 'x11vnc'
  | 'postgres'
  | 'mariadb'
  | 'helm'
  | 'systemd'

export interface Requirement {
  /** For `describe.skipIf` and `test.skipIf`. */
  readonly skip: boolean
  /** What is missing and how to install it, to be appended to the suite's name; empty if nothing is missing. */
  readonly reason: string
}

const remedyOf = (part: Part) => `run tests/install-${part === 'helm' ? 'helm' : 'debian-packages'}`

/**
 * Checks that all parts are installed.
 *
 * @example
 * const { skip, reason } = requires('qemu', 'chromium')
 * describe.skipIf(skip)(`a page shows a real guest${reason}`, () => {})
 *
 * @throws Error if a part is missing and `CI=true` is set.
 */
export function requires(...parts: Part[]): Requirement {
  const missing = parts.filter((part) => !hasPart(part))
  const remedies = [...new Set(missing.map(remedyOf))]
  return requirement(missing.join(', '), missing.length === 0, remedies.join(', '))
}

/**
 * Makes a {@link Requirement} of another condition.
 * @param hint how to provide it.
 * @throws Error if it is absent and `CI=true` is set.
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

/** Returns the path of Chromium: `ORIEL_CHROMIUM`, or Debian's. */
export function chromiumPath(): string {
  return process.env.ORIEL_CHROMIUM ?? '/usr/bin/chromium'
}

/** Returns the path of Helm: `ORIEL_HELM`, or that of tests/install-helm. */
export function helmPath(): string {
  return process.env.ORIEL_HELM ?? '/usr/local/share/oriel-test-parts/helm/helm'
}

const present = {
  qemu: () => hasCommand('qemu-system-x86_64'),
  chromium: () => isExecutable(chromiumPath()),
  'openstack client': () => hasCommand('openstack'),
  keystone: () => hasCommand('keystone-manage') && hasCommand('keystone-wsgi-public'),
  haproxy: () => hasCommand('haproxy'),
  nginx: () => hasCommand('nginx'),
  apache: () => hasCommand('apache2'),
  caddy: () => hasCommand('caddy'),
  'remote-viewer': () => hasCommand('remote-viewer'),
  libvirt: () => hasCommand('libvirtd') && hasCommand('virsh'),
  x11vnc: () => hasCommand('x11vnc') && hasCommand('Xvfb'),
  postgres: () => hasCommand('postgres') || debianPostgres().some(isExecutable),
  mariadb: () => hasCommand('mariadbd'),
  helm: () => isExecutable(helmPath()),
  systemd: () => hasCommand('systemd-analyze'),
} satisfies Record<Part, () => boolean>

/** Folders of daemons, which are not on the PATH of many users. */
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
