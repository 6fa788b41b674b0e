/** The recorded calls of real clients, as vectors. Their responses were recorded without headers. */
import { LEGACY_HEADER, negotiate, STANDARD_HEADER, versionHeaders } from '@oriel/contract'
import type { Flow, Headers, Vector } from './vectors.ts'

/** The calls of a flow in order, each as a separate vector. */
export function callsOf(flow: Flow): readonly Vector[] {
  return flow.calls.map(({ request, response }, index) => ({
    name: `${flow.name}: call ${index + 1}`,
    setup: { as: 'member', server: 'active' },
    request,
    response: { ...response, headers: usualHeaders(request.headers) },
    source: flow.name,
  }))
}

// The headers of all Nova's other recorded responses below /v2.1.
function usualHeaders(sent: Headers): Headers {
  const asked = negotiate({ standard: text(sent[STANDARD_HEADER]), legacy: text(sent[LEGACY_HEADER]) })
  if (!('microversion' in asked)) throw new Error('A client asked for a version that Nova does not serve')
  return {
    'Content-Type': 'application/json',
    ...versionHeaders(asked.microversion),
    Vary: [STANDARD_HEADER, LEGACY_HEADER],
    'X-Compute-Request-ID': '{{request_id}}',
    'X-OpenStack-Request-ID': '{{request_id}}',
  }
}

const text = (value: Headers[string] | undefined) => (value === undefined ? undefined : [value].flat().join(', '))
