/** A guest of a hypervisor, in its last known state. */
import { isIP } from 'node:net'
import type { Protocol } from '@oriel/contract'
import { canonicalAddress, isLoopback } from '@oriel/runtime'
import type { Server } from '../server.ts'
import type { ConsoleAddress } from '../source.ts'

export type Consoles = Readonly<Partial<Record<Protocol, ConsoleAddress>>>

export interface Guest {
  readonly server: Server
  /** Whether a process runs it, so that its consoles can be dialled. */
  readonly live: boolean
  /** Where its consoles were at the last look. */
  readonly consoles: Consoles
  /** This is the copy of the guest that is not in charge: before a migration has arrived, or after it has left. */
  readonly standIn?: boolean
}

/** A name as it can be shown: one line, no control characters, at most 255 characters, and not empty. */
export function shownName(name: string | undefined, id: string): string {
  const shown = (name ?? '')
    .replace(/\p{C}/gu, '')
    .slice(0, MAX_NAME_LENGTH)
    // The cut may have left half of a character.
    .replace(/\p{Cs}/gu, '')
  return shown === '' ? id : shown
}

const MAX_NAME_LENGTH = 255

/**
 * The address to dial for something that listens on `listen`, when `host` is the hypervisor as the proxy sees it.
 * Listening everywhere means `host`. So does listening on loopback, unless `host` is a loopback address itself: then
 * `listen` is the exact one. `undefined` for what no proxy can dial.
 */
export function dialableHost(listen: string, host: string): string | undefined {
  const bare = listen.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (EVERYWHERE.has(canonicalAddress(bare) ?? bare)) return host
  if (isLoopback(bare)) return isLoopback(host) ? bare : host
  return isIP(bare) !== 0 || HOST_NAME.test(bare) ? bare : undefined
}

/** A port number, from a number or from digits; `undefined` for anything else. */
export function dialablePort(port: unknown): number | undefined {
  const number = typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port
  return typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= 65535 ? number : undefined
}

const EVERYWHERE = new Set(['', '*', '0.0.0.0', '::'])
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*$/
