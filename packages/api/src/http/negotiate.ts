/** Version negotiation: the microversion of a request, and the response headers that name it. */
import { LEGACY_HEADER, negotiate as negotiated, STANDARD_HEADER, versionHeaders } from '@oriel/contract'
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault } from './faults.ts'

/** Chooses the microversion, with 400 for a malformed and 406 for an unsupported one. All later responses name it. */
export function negotiate(): ApiMiddleware {
  return async function negotiate(c, next) {
    chooseMicroversion(c)
    await next()
  }
}

/** Does the same for a handler that decides itself whether its response has a version. */
export function chooseMicroversion(c: ApiContext): void {
  const result = negotiated({ standard: c.req.header(STANDARD_HEADER), legacy: c.req.header(LEGACY_HEADER) })
  if ('microversion' in result) {
    c.set('microversion', result.microversion)
    nameVersion(c, result.microversion)
    return
  }
  if (result.status === 406) nameVersion(c, result.asked)
  throw new HttpFault(result.status, result.message)
}

function nameVersion(c: ApiContext, version: string): void {
  for (const [name, value] of Object.entries(versionHeaders(version))) {
    c.header(name, value)
    c.header('Vary', name, { append: true })
  }
}
