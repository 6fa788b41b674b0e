/** `[origin]`: the pages that may open consoles, and the trusted load balancers. */
import { type ConfigFault, network, oneOf, table, texts } from '@oriel/runtime'
import * as Type from 'typebox'
import { forwardedHeaders } from './forwarded.ts'
import { allowedOrigin } from './origin.ts'

/** `[origin]`. */
export const originTable = table(
  {
    allowed: texts(
      'Host names, or origins such as https://horizon.example, whose pages may open consoles here and show them in frames.',
    ),
    trusted_proxies: Type.Array(network(), {
      default: [],
      description: 'Addresses and CIDRs of load balancers whose X-Forwarded-* and Forwarded headers are trusted.',
    }),
    forwarded_header: Type.Optional(
      oneOf(forwardedHeaders, {
        description:
          'The header that the load balancers set; the other is ignored. Default: both are read, and clients for which they disagree share the limits of one address.',
      }),
    ),
  },
  { default: {} },
)

export type OriginConfig = Type.Static<typeof originTable>

/** Finds entries of `origin.allowed` that are neither a host name nor an origin. */
export const originFaults = ({ allowed }: OriginConfig): ConfigFault[] =>
  allowed.flatMap((entry, i) => faultOf(`origin.allowed[${i}]`, () => allowedOrigin(entry)))

function faultOf(path: string, parse: () => unknown): ConfigFault[] {
  try {
    parse()
    return []
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return [{ path, message: error.message }]
  }
}
