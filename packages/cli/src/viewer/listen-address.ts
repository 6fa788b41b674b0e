/** Parses `--listen`. */
import { isIP } from 'node:net'
import { Failure } from '../failure.ts'
import { echoed } from '../output.ts'
import type { Address } from './viewers.ts'

/** Parses `HOST:PORT`, with an IPv6 address in brackets. @throws Failure for another text */
export function listenAddress(text: string): Address {
  const [, bracketed, name, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? name
  const port = Number(digits)
  if (host !== undefined && port < 65_536) return { host, port }
  throw new Failure('usage', `--listen ${echoed(text)} is not HOST:PORT, such as 127.0.0.1:5901 or [::1]:0.`)
}

/** Whether only this machine reaches the address. */
export const isLoopback = ({ host }: Address): boolean =>
  host === 'localhost' || (isIP(host) === 4 ? host.startsWith('127.') : host === '::1')
