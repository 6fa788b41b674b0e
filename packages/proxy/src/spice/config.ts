/** The parts of `proxy.toml` that concern native SPICE, and the faults between them. */
import {
  type ConfigFault,
  caFaults,
  certificateFaults,
  host,
  hostOrNetwork,
  listenAddress,
  oneOf,
  pem,
  seconds,
  secretPem,
  table,
  texts,
} from '@oriel/runtime'
import * as Type from 'typebox'
import type { HypervisorConfig } from '../hypervisor/config.ts'
import { channelNames } from './wire/protocol.ts'

const port = (description: string) => Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description }))
/** Depends on another key, so the schema itself has no default. */
const address = (description: string) =>
  Object.assign(listenAddress(), { description: `${description} host:port; port 0 picks a free one.` })

/** The default addresses for viewers. */
export const DEFAULT_LISTEN = '127.0.0.1:5900'
export const DEFAULT_TLS_LISTEN = '127.0.0.1:5901'

/** `[spice]`: the leg to viewers. */
export const spiceTable = table({
  listen: Type.Optional(
    address(
      `Where viewers connect in plaintext. Default: ${DEFAULT_LISTEN}, but no port with spice.tls; if a port is set together with spice.tls, it only refers viewers to the TLS port.`,
    ),
  ),
  tls_listen: Type.Optional(address(`Where viewers connect over TLS. Default: ${DEFAULT_TLS_LISTEN} with spice.tls.`)),
  public_host: Type.Optional(
    host({ description: 'The host in .vv files. Default: the host name of the request for the file.' }),
  ),
  public_port: port('The plaintext port in .vv files. Default: the port of spice.listen.'),
  public_tls_port: port('The TLS port in .vv files. Default: the port of spice.tls_listen.'),
  tls: Type.Optional(
    table({
      cert: pem({ description: 'The certificate for viewers, with its chain: PEM, or the name of a file with it.' }),
      key: secretPem({ description: 'The private key of spice.tls.cert.' }),
      ca: Type.Optional(pem({ description: 'The CA to include in .vv files, if viewers do not trust it already.' })),
    }),
  ),
  proxy_protocol: Type.Boolean({
    default: false,
    description:
      'Whether every connection begins with a PROXY header (version 1 or 2) from an address in origin.trusted_proxies.',
  }),
  first_use_seconds: seconds(60, 'How long a downloaded .vv file can be opened for the first time.', 1),
  reconnect_grace_seconds: seconds(30, 'How long a viewer that lost its session may reconnect.'),
  in_use: oneOf(['take_over', 'refuse'], {
    default: 'take_over',
    description: 'Whether a second viewer of a console ends the session of the first (take_over) or is refused.',
  }),
  policy: oneOf(['enforce', 'watch'], {
    default: 'enforce',
    description: 'Whether messages that viewers never need end the session (enforce) or are only logged (watch).',
  }),
  hidden_channels: texts('Channels that viewers cannot use, such as usbredir and webdav.'),
  migration_hosts: Type.Array(hostOrNetwork(), {
    default: [],
    description:
      'Names and CIDRs of hosts to which a session may follow a live migration. Empty: live migrations are not followed.',
  }),
  files_per_minute: Type.Integer({
    default: 60,
    minimum: 1,
    maximum: 100_000,
    description: '.vv files per minute for one client address (for IPv6, one /64).',
  }),
})

export type SpiceConfig = Type.Static<typeof spiceTable>

/** The parts of the configuration that {@link spiceFaults} compares. */
export interface SpiceConfigParts {
  readonly listen: readonly { readonly consoles: readonly string[] }[]
  readonly spice?: SpiceConfig | undefined
  readonly hypervisor: Pick<HypervisorConfig, 'spice'>
  readonly origin: { readonly trusted_proxies: readonly string[] }
}

/** Whether a listener serves native SPICE. */
export const servesSpice = (listen: SpiceConfigParts['listen']): boolean =>
  listen.some(({ consoles }) => consoles.includes('spice-direct'))

/** Finds faults between keys, each of which is valid by itself. */
export function spiceFaults({ listen, spice, hypervisor, origin }: SpiceConfigParts): ConfigFault[] {
  const { ca } = hypervisor.spice ?? {}
  const missing = { path: 'spice', message: 'missing, but a listener serves spice-direct: add the table [spice]' }
  return [
    ...(servesSpice(listen) && !spice ? [missing] : []),
    ...(spice ? [...tlsFaults(spice), ...channelFaults(spice)] : []),
    ...(spice ? balancerFaults(spice, origin.trusted_proxies) : []),
    ...(ca === undefined ? [] : caFaults('hypervisor.spice.ca', ca)),
  ]
}

function balancerFaults({ proxy_protocol }: SpiceConfig, trusted: readonly string[]): ConfigFault[] {
  if (!proxy_protocol || trusted.length > 0) return []
  const message = 'no address may send a PROXY header: list your load balancers in origin.trusted_proxies'
  return [{ path: 'spice.proxy_protocol', message }]
}

function tlsFaults({ tls, tls_listen }: SpiceConfig): ConfigFault[] {
  const without = { path: 'spice.tls_listen', message: 'requires a certificate: set spice.tls.cert and spice.tls.key' }
  if (!tls) return tls_listen === undefined ? [] : [without]
  return [...certificateFaults('spice.tls', tls), ...(tls.ca === undefined ? [] : caFaults('spice.tls.ca', tls.ca))]
}

function channelFaults({ hidden_channels }: SpiceConfig): ConfigFault[] {
  const hideable = channelNames.filter((name) => name !== 'main')
  const wrong = hidden_channels
    .map((name, i) => ({ name, i }))
    .filter(({ name }) => !hideable.some((known) => known === name))
  return wrong.map(({ i }) => ({
    path: `spice.hidden_channels[${i}]`,
    message: `must be one of ${hideable.join(', ')}`,
  }))
}
