/** The path for routing: decoded once as a whole, as WSGI servers do before Nova's router. */
import { rawTarget } from './context.ts'

/**
 * The path of a request: percent-decoded byte by byte as latin-1 (so `%2F` separates segments and no byte is invalid),
 * runs of slashes collapsed. Percent signs are encoded again, because Hono decodes path parameters.
 */
export function routingPath(request: Request, env?: { incoming?: { url?: string | undefined } }): string {
  const path = rawTarget(request.url, env?.incoming).replace(/[?#].*$/s, '')
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return decoded.replace(/\/{2,}/g, '/').replaceAll('%', '%25')
}
