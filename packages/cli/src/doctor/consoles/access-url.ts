/** Checks access URLs without opening them. */
import type { OpenableConsoleType } from '@oriel/contract'
import { type Destination, hostOf, isLoopback, isTls } from '../destination.ts'
import type { Passed } from '../examination.ts'
import { maskedUrl } from '../mask.ts'
import { Problem } from '../problem.ts'
import type { Created } from './create.ts'
import { baseUrlKey, baseUrlSide, type CloudFacts } from './settings.ts'

/** Returns the destination of an access URL. @throws Problem for a URL that other machines or browsers cannot open */
export function checkAccessUrl(
  type: OpenableConsoleType,
  { url: text }: Created,
  facts: CloudFacts,
): Passed<Destination> {
  const url = new URL(text)
  const [key, side] = [baseUrlKey(type, facts), baseUrlSide(facts)]
  const host = hostOf(url)
  if (UNSPECIFIED.has(host) || (isLoopback(host) && !facts.isLocal)) {
    const remedy = `Set ${key} to the address of the console proxy that users reach.`
    throw new Problem(`the access URL leads to ${host}, which is each user's own machine`, { side, remedy })
  }
  if (facts.isTls && !isTls(url)) {
    const secure = `${/^ws/.test(url.protocol) ? 'wss' : 'https'}://${url.host}${url.pathname}`
    const remedy = `Set ${key} to an encrypted address, such as ${secure}, and let the load balancer or [[listen]] tls of oriel-proxy end TLS.`
    throw new Problem(
      `the access URL is unencrypted (${url.protocol}//), and the API is not: browsers refuse it in pages over https`,
      { side, remedy },
    )
  }
  const listens = 'Start the console proxy, such as `systemctl start oriel-proxy`'
  return { value: { url, side: 'console proxy', setting: key, listens }, detail: maskedUrl(text) }
}

/** The addresses on which a program listens, and which lead nowhere. */
const UNSPECIFIED: ReadonlySet<string> = new Set(['0.0.0.0', '::'])
