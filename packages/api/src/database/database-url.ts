/** Parses the URLs of database servers, decides about TLS, and shows addresses without secrets. */
import { isIP } from 'node:net'
import { userInfo } from 'node:os'
import { isLoopback, Secret } from '@oriel/runtime'

/** The address of a database, and our credential there. */
export interface DatabaseAddress {
  readonly host: string
  readonly port: number
  /** The path of a Unix socket (MariaDB) or of its folder (PostgreSQL), instead of host and port. */
  readonly socket?: string
  readonly user: string
  readonly password?: Secret
  readonly database: string
  /** Absent: plaintext. Present: certificate and host name are verified, with the CAs of `cafile` or else of Node. */
  readonly tls?: { readonly cafile?: string }
}

/** The parameter names in the URLs of one kind of server. */
export interface UrlWords {
  readonly defaultPort: number
  readonly socket: string
  /** Other names of `socket`. */
  readonly socketAliases?: readonly string[]
  readonly cafile: string
  /** Whether `user` and `port` may be query parameters. */
  readonly hasUserAndPort?: boolean
  /** The parameter for TLS and its two values. */
  readonly tls: { readonly key: string; readonly off: string; readonly on: string }
}

/**
 * Parses the URL of a database. TLS is on unless the URL turns it off, or the host is loopback or a Unix socket. With a Unix
 * socket the host may be empty, as in libpq, and the user defaults to the one that this process runs as.
 * @throws TypeError that explains the fault without quoting the URL, which may contain a password
 */
export function parseDatabaseUrl(text: string, words: UrlWords): DatabaseAddress {
  const url = URL.parse(text.replace(EMPTY_HOST, `$1${NO_HOST}`))
  if (!url?.hostname) throw new TypeError('is not a URL with a host')
  const parameters = parametersOf(url, words)
  const { host, socket } = hostOf(url, parameters.get(words.socket))
  const database = decode(url.pathname.slice(1), 'database')
  if (!database || database.includes('/')) throw new TypeError('names no database, end it with /DATABASE')
  const user = decode(url.username, 'user') || parameters.get('user') || (socket && userInfo().username)
  if (!user) throw new TypeError('names no user, write USER:PASSWORD@ before the host')
  const port = Number(url.port || parameters.get('port') || words.defaultPort)
  if (!isPort(port)) throw new TypeError('has a port that is not a number from 1 to 65535')
  const tls = tlsOf(parameters, words, socket !== undefined || isLoopback(host))
  return {
    ...{ host, port, database, user },
    ...(url.password && { password: new Secret(decode(url.password, 'password')) }),
    ...(socket !== undefined && { socket }),
    ...(tls && { tls }),
  }
}

/** Formats an address for people, as `DATABASE at HOST:PORT`, without user and password. */
export function showAddress({ database, host, port, socket }: DatabaseAddress): string {
  return `${database} at ${socket ?? (isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`)}`
}

/** `scheme://` and `user@` with an empty host, which WHATWG URLs do not allow. */
const EMPTY_HOST = /^([a-z]+:\/\/(?:[^/?#@]*@)?)(?=[/?])/
/** Placeholder for an empty host. `.invalid` never resolves (RFC 6761). */
const NO_HOST = 'no-host.invalid'

/** Returns the host, or a socket that is given as a query parameter or percent-encoded as the host. */
function hostOf(url: URL, parameter: string | undefined): { readonly host: string; readonly socket?: string } {
  const given = url.hostname === NO_HOST ? '' : decode(url.hostname, 'host').replace(/^\[(.*)\]$/, '$1')
  const hostOrSocket = parameter ?? given
  if (!hostOrSocket) throw new TypeError('is not a URL with a host')
  return hostOrSocket.startsWith('/')
    ? { host: given.startsWith('/') ? '' : given, socket: hostOrSocket }
    : { host: hostOrSocket }
}

const isPort = (port: number) => Number.isInteger(port) && port > 0 && port < 65_536

function parametersOf(url: URL, words: UrlWords): ReadonlyMap<string, string> {
  const { socket, socketAliases = [], cafile, tls, hasUserAndPort } = words
  const known = [socket, ...socketAliases, cafile, tls.key, ...(hasUserAndPort ? ['user', 'port'] : [])]
  for (const key of url.searchParams.keys()) {
    if (!known.includes(key)) throw new TypeError(`has an unknown parameter ${key}, known are ${known.join(', ')}`)
  }
  if (url.hash) throw new TypeError('has a # in it, write %23')
  const parameters = new Map(url.searchParams)
  for (const alias of socketAliases) {
    const value = parameters.get(alias)
    if (value !== undefined) parameters.set(socket, value)
  }
  return parameters
}

function tlsOf(parameters: ReadonlyMap<string, string>, { tls, cafile }: UrlWords, isLocal: boolean) {
  const ca = parameters.get(cafile)
  const mode = parameters.get(tls.key) ?? (isLocal && ca === undefined ? tls.off : tls.on)
  if (mode === tls.on) return ca === undefined ? {} : { cafile: ca }
  if (mode !== tls.off) {
    throw new TypeError(`has an unknown ${tls.key}, write ${tls.on}, or ${tls.off} where the network can be trusted`)
  }
  if (ca !== undefined) throw new TypeError(`has ${cafile}, but ${tls.key}=${tls.off}`)
  return undefined
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError(`has a % in its ${part} that is not percent-encoding, write %25`)
  }
}
