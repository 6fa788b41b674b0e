/** Query strings. */
import { HttpFault } from './faults.ts'

/**
 * Parses a query string. The last of several parameters with one name counts.
 * @throws HttpFault 400 if it is not UTF-8 once decoded.
 */
export function parseQuery(query: string): ReadonlyMap<string, string> {
  const pairs = query.split('&').filter((pair) => pair !== '')
  return new Map(pairs.map((pair) => [decode(pair.split('=')[0]!), decode(pair.split('=').slice(1).join('='))]))
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' ').replace(/%(?![0-9a-f]{2})/gi, '%25'))
  } catch (cause) {
    throw new HttpFault(400, 'Query string is not UTF-8 encoded', { cause })
  }
}
