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
      `Where viewers connect in clear. Default: ${DEFAULT_LISTEN}; with spice.tls, nowhere, and one that is named only sends viewers to TLS.`,
    ),
  ),
  tls_listen: Type.Optional(address(`Where viewers connect over TLS. Default: ${DEFAULT_TLS_LISTEN} with spice.tls.`)),
  public_host: Type.Optional(
    host({ description: 'What .vv files name. Default: the name by which the file was asked for.' }),
  ),
  public_port: port('The port in clear that .vv files name. Default: as bound.'),
  public_tls_port: port('The TLS port that .vv files name. Default: as bound.'),
  tls: Type.Optional(
    table({
      cert: pem({ description: 'What viewers are shown: PEM, or the name of a file with it.' }),
      key: secretPem({ description: 'Its private key.' }),
      ca: Type.Optional(
        pem({ description: 'Goes into the .vv, for viewers that do not trust the certificate anyway.' }),
      ),
    }),
  ),
  proxy_protocol: Type.Boolean({
    default: false,
    description:
      'Whether every connection begins with a PROXY header (version 1 or 2) from an address in origin.trusted_proxies.',
  }),
  first_use_seconds: seconds(60, "From the file's download to the viewer's first connection.", 1),
  reconnect_grace_seconds: seconds(30, 'Within which a viewer that lost its session may come back.'),
  in_use: oneOf(['take_over', 'refuse'], {
    default: 'take_over',
    description: 'What a second viewer of one console does to the first, or hears.',
  }),
  policy: oneOf(['enforce', 'watch'], {
    default: 'enforce',
    description: 'Whether messages that no viewer needs are refused, or only logged.',
  }),
  hidden_channels: texts('Channels that viewers are not told of, such as usbredir and webdav.'),
  migration_hosts: Type.Array(hostOrNetwork(), {
    default: [],
    description: 'Names and CIDRs that a live migration may lead to; none: it is refused.',
  }),
  files_per_minute: Type.Integer({
    default: 60,
    minimum: 1,
    maximum: 100_000,
    description: '.vv files for one address.',
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
  const missing = { path: 'spice', message: 'a listener serves spice-direct: add the table [spice]' }
  return [
    ...(servesSpice(listen) && !spice ? [missing] : []),
    ...(spice ? [...tlsFaults(spice), ...channelFaults(spice)] : []),
    ...(spice ? balancerFaults(spice, origin.trusted_proxies) : []),
    ...(ca === undefined ? [] : caFaults('hypervisor.spice.ca', ca)),
  ]
}

function balancerFaults({ proxy_protocol }: SpiceConfig, trusted: readonly string[]): ConfigFault[] {
  if (!proxy_protocol || trusted.length > 0) return []
  const message = 'needs the addresses of the balancers in origin.trusted_proxies'
  return [{ path: 'spice.proxy_protocol', message }]
}

function tlsFaults({ tls, tls_listen }: SpiceConfig): ConfigFault[] {
  const without = { path: 'spice.tls_listen', message: 'needs spice.tls with a certificate and its key' }
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
