/** Addresses that checks reach, and the errors of Node for them. */
import type { Side } from './problem.ts'

/** An address to reach, and the place where a fault is fixed if nothing is wrong with the client. */
export interface Destination {
  readonly url: URL
  readonly side: Side
  /** The setting that has this address, for a name that does not resolve. */
  readonly setting: string
  /** Where that setting is, if not on `side`. */
  readonly addressSide?: Side
  /** The command or the key that makes a program listen there. */
  readonly listens: string
}

/** Whether an address is encrypted. */
export const isTls = ({ protocol }: URL): boolean => protocol === 'https:' || protocol === 'wss:'
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')
export const portOf = (url: URL): number => Number(url.port || (isTls(url) ? 443 : 80))
export const nameAnd = (host: string, address: string): string => (host === address ? host : `${host} is ${address}`)

/** Whether an address leads to the machine of its reader, or to any address of a machine. */
export const isLoopback = (host: string): boolean => /^(localhost|.*\.localhost|127(\.\d+){3}|::1)$/i.test(host)

const MAX_CAUSES = 5

/** Returns an error and its causes. An error for several addresses counts as the first of them. */
export function causesOf(error: unknown): readonly NodeFault[] {
  const found: NodeFault[] = []
  let cause = error as NodeFault | undefined
  while (cause instanceof Object && found.length < MAX_CAUSES) {
    found.push(cause)
    cause = cause.cause ?? cause.errors?.[0]
  }
  return found
}

/** An error of Node. */
export interface NodeFault {
  readonly code?: string
  readonly name?: string
  /** Present in a ConnectionError of the SDK. */
  readonly reason?: string
  readonly message: string
  readonly cause?: NodeFault
  readonly errors?: readonly NodeFault[]
}
