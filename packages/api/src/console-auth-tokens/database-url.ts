/** Names of database servers as URLs: taken apart, with TLS decided, and shown without their secrets. */
import { isIP } from 'node:net'
import { isLoopback, Secret } from '@oriel/runtime'

/** Where a database is and who we are there. */
export interface DatabaseAddress {
  readonly host: string
  readonly port: number
  /** The path of a Unix socket (MariaDB) or of its folder (PostgreSQL), in place of host and port. */
  readonly socket?: string
  readonly user: string
  readonly password?: Secret
  readonly database: string
  /** Absent: no TLS. Certificate and host name are verified; `cafile` names the CAs. Default: those of Node. */
  readonly tls?: { readonly cafile?: string }
}

/** How one kind of server calls things in its URLs. */
export interface UrlWords {
  readonly defaultPort: number
  readonly socket: string
  readonly cafile: string
  /** The parameter for TLS and its two values. */
  readonly tls: { readonly key: string; readonly off: string; readonly on: string }
}

/**
 * Takes the URL of a database apart. Beyond loopback and Unix sockets, TLS is on unless the URL says that it is off.
 * @throws TypeError with what is wrong; never with the URL itself, since a password may stand in it.
 */
export function parseDatabaseUrl(text: string, words: UrlWords): DatabaseAddress {
  const url = URL.parse(text)
  if (!url?.hostname) throw new TypeError('is no URL with a host')
  const parameters = parametersOf(url, words)
  const database = decode(url.pathname.slice(1), 'database')
  if (!database || database.includes('/')) throw new TypeError('names no database, end it with /DATABASE')
  if (!url.username) throw new TypeError('names no user, write USER:PASSWORD@ before the host')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const socket = parameters.get(words.socket)
  const tls = tlsOf(parameters, words, socket !== undefined || isLoopback(host))
  return {
    ...{ host, port: Number(url.port || words.defaultPort), database, user: decode(url.username, 'user') },
    ...(url.password && { password: new Secret(decode(url.password, 'password')) }),
    ...(socket !== undefined && { socket }),
    ...(tls && { tls }),
  }
}

/** `DATABASE at HOST:PORT`, for people: no user, no password. */
export function showAddress({ database, host, port, socket }: DatabaseAddress): string {
  return `${database} at ${socket ?? (isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`)}`
}

function parametersOf(url: URL, { socket, cafile, tls }: UrlWords): ReadonlyMap<string, string> {
  const known = [socket, cafile, tls.key]
  for (const key of url.searchParams.keys()) {
    if (!known.includes(key)) throw new TypeError(`has an unknown parameter ${key}, known are ${known.join(', ')}`)
  }
  if (url.hash) throw new TypeError('has a # in it, write %23')
  return new Map(url.searchParams)
}

function tlsOf(parameters: ReadonlyMap<string, string>, { tls, cafile }: UrlWords, isLocal: boolean) {
  const ca = parameters.get(cafile)
  const mode = parameters.get(tls.key) ?? (isLocal && ca === undefined ? tls.off : tls.on)
  if (mode === tls.on) return ca === undefined ? {} : { cafile: ca }
  if (mode !== tls.off) {
    throw new TypeError(`gives no known ${tls.key}, write ${tls.on}, or ${tls.off} where the network can be trusted`)
  }
  if (ca !== undefined) throw new TypeError(`has ${cafile}, but ${tls.key}=${tls.off}`)
  return undefined
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError(`has a % in its ${part} that starts no code, write %25`)
  }
}
