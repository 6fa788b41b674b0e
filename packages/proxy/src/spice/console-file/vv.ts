/** The file that opens remote-viewer: a GKeyFile with the group `[virt-viewer]` (virt-viewer 11). */
import type { Secret } from '@oriel/runtime'
import type { PublicEndpoint } from '../session/grant.ts'

export interface VvFile {
  readonly endpoint: PublicEndpoint
  readonly ticket: Secret
  /** The window's title. Instance names are user input. */
  readonly title: string
  /** PEM of the CA of the proxy's certificate, if viewers do not trust it already. */
  readonly ca?: string | undefined
}

export const VV_TYPE = 'application/x-virt-viewer'

/** Builds the file. Omits `port` if there is a `tls-port`, because viewers with both try the plaintext port first. */
export function vvFile({ endpoint, ticket, title, ca }: VvFile): string {
  const { host, port, tlsPort } = endpoint
  const entries: readonly (readonly [string, string | number | undefined])[] = [
    ['type', 'spice'],
    ['host', host],
    ['tls-port', tlsPort],
    ['port', tlsPort === undefined ? port : undefined],
    ['password', ticket.reveal()],
    ['ca', ca],
    ['delete-this-file', 1],
    // remote-viewer replaces `%d` with the monitor's number.
    ['title', title.replaceAll('%', '')],
    ['toggle-fullscreen', 'shift+f11'],
    ['release-cursor', 'shift+f12'],
  ]
  const lines = entries
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${escaped(String(value))}\n`)
  return `[virt-viewer]\n${lines.join('')}`
}

/** Makes a file name for the download that is safe in a shell, in an HTTP header and in every file system. */
export const vvFileName = (name: string) =>
  `${
    name
      .replaceAll(/[^\w.-]+/g, '-')
      .replace(/^[.-]+/, '')
      .slice(0, 80) || 'console'
  }.vv`

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Escapes line breaks, since each would begin a new key. */
function escaped(value: string): string {
  return value
    .replaceAll(/[\\\n\r\t]/g, (character) => escapes[character]!)
    .replaceAll(/\p{Cc}/gu, '')
    .replace(/^ +/, (blanks) => '\\s'.repeat(blanks.length))
}
