/** A guest of a hypervisor, in its last known state. */
import { isIP } from 'node:net'
import type { Protocol } from '@oriel/contract'
import { canonicalAddress, isLoopback, unixSocketPath } from '@oriel/runtime'
import type { Server } from '../server.ts'
import type { ConsoleAddress } from '../source.ts'

export type Consoles = Readonly<Partial<Record<Protocol, ConsoleAddress>>>

export interface Guest {
  readonly server: Server
  /** Whether a process runs the guest, so that its consoles can be dialled. */
  readonly live: boolean
  /** The addresses of its consoles when the source last checked. */
  readonly consoles: Consoles
  /** Names this run of the guest, if its location stays the same when it runs again. */
  readonly run?: string
  /** This process is not in charge of the guest: a migration has not arrived here yet, or has left. */
  readonly standIn?: boolean
}

/** The socket of a monitor, or a domain of a connection, by which a guest was found. */
export type GuestLocation = string

export interface Found {
  readonly location: GuestLocation
  readonly guest: Guest
}

/** Returns a name that is safe to show: one line, no control characters, at most 255 characters, and not empty. */
export function shownName(name: string | undefined, id: string): string {
  const shown = (name ?? '')
    .replace(/\p{C}/gu, '')
    .slice(0, MAX_NAME_LENGTH)
    // Removes half a surrogate pair, which the cut may have left.
    .replace(/\p{Cs}/gu, '')
  return shown === '' ? id : shown
}

const MAX_NAME_LENGTH = 255

/**
 * Returns the host that the proxy must dial for a console that listens on `listen`, where `host` is the hypervisor as the
 * proxy sees it. For a wildcard address it is `host`. For loopback it is `host` too, unless `host` is loopback itself: then it
 * is `listen`. Returns `undefined` for an address that a proxy cannot dial.
 */
export function dialableHost(listen: string, host: string): string | undefined {
  const bare = listen.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (EVERYWHERE.has(canonicalAddress(bare) ?? bare)) return host
  if (isLoopback(bare)) return isLoopback(host) ? bare : host
  return isIP(bare) !== 0 || HOST_NAME.test(bare) ? bare : undefined
}

/** Returns the host of a console at a Unix socket, or `undefined` for a path that a proxy cannot dial. */
export function socketHost(path: string): string | undefined {
  const host = `unix:${path}`
  return unixSocketPath(host) === undefined ? undefined : host
}

/** Parses a port from a number or digits. Returns `undefined` for all other values. */
export function dialablePort(port: unknown): number | undefined {
  const number = typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port
  return typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= 65535 ? number : undefined
}

const EVERYWHERE = new Set(['', '*', '0.0.0.0', '::'])
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*$/
