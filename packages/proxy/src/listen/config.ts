/** `[[listen]]` and `[home]`: where clients connect, and what each listener serves. */
import { type OpenableConsoleType, openableConsoleTypes } from '@oriel/contract'
import {
  type ConfigFault,
  certificateFaults,
  listenAddress,
  listenerTlsTable,
  optionalText,
  table,
} from '@oriel/runtime'
import * as Type from 'typebox'
import { isNativeType, servedConsoleTypes } from '../consoles/kinds.ts'

/** `[[listen]]`. */
export const listenerTable = table({
  address: listenAddress(),
  consoles: Type.Array(
    Type.Unsafe<OpenableConsoleType>(Type.Union(openableConsoleTypes.map((type) => Type.Literal(type)))),
    {
      minItems: 1,
      uniqueItems: true,
      description:
        'The console types of this listener. Several types are served below separate prefixes, such as /novnc/.',
    },
  ),
  tls: Type.Optional(listenerTlsTable),
  base_url: Type.Optional(
    Type.String({
      pattern: '^https?://[^\\s/?#@]+/?$',
      'x-remedy': 'the public scheme and host, such as https://console.example',
      description:
        'The public scheme and host of this listener. Required behind a load balancer that changes either without an X-Forwarded-* header. Default: the Host of each request, and https if the listener has tls or a trusted proxy sends X-Forwarded-Proto: https.',
    }),
  ),
  proxy_protocol: Type.Boolean({
    default: false,
    description:
      'Whether every connection begins with a PROXY header (version 1 or 2) from an address in origin.trusted_proxies.',
  }),
})

/** `[home]`: the page at `/`. */
export const homeTable = table(
  {
    api_url: optionalText(
      'The API whose servers the page at / lists, with or without /v2.1, as browsers reach it. It must have the origin of this page in cors.allowed_origins. Default: the page only describes this proxy.',
    ),
  },
  { default: {} },
)

export type ListenerConfig = Type.Static<typeof listenerTable>

/** The console types of a listener, in the order of the descriptors. */
export const servedTypes = ({ consoles }: ListenerConfig) =>
  servedConsoleTypes.filter((type) => consoles.includes(type))

/** Whether one process must serve a listener: the ticket of a native type is in the memory of the process that minted it. */
export const isNative = ({ consoles }: ListenerConfig) => consoles.some(isNativeType)

/** The parts of the configuration that {@link listenFaults} compares. */
export interface ListenParts {
  readonly listen: readonly ListenerConfig[]
  readonly origin: { readonly trusted_proxies: readonly string[] }
}

/** Finds faults between keys, each of which is valid by itself. */
export const listenFaults = (config: ListenParts): ConfigFault[] => [...wrongTls(config), ...wrongProxyProtocol(config)]

const wrongTls = ({ listen }: ListenParts): ConfigFault[] =>
  listen.flatMap(({ tls }, i) => (tls ? certificateFaults(`listen[${i}].tls`, tls) : []))

function wrongProxyProtocol({ listen, origin }: ListenParts): ConfigFault[] {
  if (origin.trusted_proxies.length > 0) return []
  const message = 'no address may send a PROXY header: list your load balancers in origin.trusted_proxies'
  return listen.flatMap(({ proxy_protocol }, i) =>
    proxy_protocol ? [{ path: `listen[${i}].proxy_protocol`, message }] : [],
  )
}
