/** Version negotiation: which microversion answers, and the headers that say so. */
import { LEGACY_HEADER, negotiate as negotiated, STANDARD_HEADER, versionHeaders } from '@oriel/contract'
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault } from './faults.ts'

/** Chooses the microversion: 400 if none can be read, 406 if it is not served. All later answers name it. */
export function negotiate(): ApiMiddleware {
  return async function negotiate(c, next) {
    chooseMicroversion(c)
    await next()
  }
}

/** The same for a handler that decides by itself whether the answer has a version. */
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
