/** GET /oriel/v1/servers/{server_id}/screenshot. */
import { accessUrl, tokenOf } from '@oriel/contract'
import { isTimeUp, within } from '@oriel/runtime'
import { type ConsoleDeps, type Opener, requireHost } from '../consoles/open.ts'
import { openPermitted } from '../consoles/open-with-options.ts'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations, Media } from '../http/mount-extension.ts'
import { lookUp } from '../servers/look-up.ts'
import { auditTo } from '../sessions/audit.ts'
import { isOff, type Server } from '../sources/server.ts'
import type { ScreenshotsConfig } from './config.ts'
import { ScreenshotLimits } from './limits.ts'
import { RecentScreenshots } from './recent.ts'
import { ScreenFailure, type ScreenFormat, type ScreenReader } from './screen-reader.ts'

export interface ScreenshotDeps extends ConsoleDeps {
  readonly config: ConsoleDeps['config'] & { readonly screenshots: ScreenshotsConfig }
  readonly screens?: ScreenReader
}

/** How long a console may take until it shows a picture. */
const PICTURE_MS = 10_000
/** How long the console's URL may be opened. */
const TTL_SECONDS = 30
/** The name of the session in lists, in the audit trail and to other viewers. */
const LABEL = 'Screenshot'

/**
 * Shows a server's screen by a short watching session through a proxy, which has the network of the hypervisors and checks the
 * identity of the guest. Requests for the same screen share it.
 */
export function showScreenshot(deps: ScreenshotDeps): ExtensionOperations['showScreenshot'] {
  const limits = new ScreenshotLimits(deps.config.screenshots.per_minute)
  const recent = new RecentScreenshots<Uint8Array<ArrayBuffer>>()
  return async function showScreenshot({ params, query, identity, signal, log }): Promise<Media> {
    const { screens } = deps
    if (!screens) throw new HttpFault(501, 'Screenshots are disabled.')
    const server = await lookUp(deps.source, identity, params.server_id!, signal)
    requireRunning(server)
    const format = query.has('text') ? 'text' : 'png'
    const key = JSON.stringify([server.projectId, server.id, format])
    const take = () =>
      limits.run(server.projectId, () => takeScreenshot({ ...deps, screens }, server.id, format, { identity, log }))
    const bytes = await within(signal, recent.get(key, take)).catch((cause) => {
      throw isTimeUp(signal) ? tooLate(cause) : cause
    })
    auditTo(log).screenshot(server, identity.userId, format)
    return { contentType: contentTypes[format], bytes }
  }
}

const contentTypes = { png: 'image/png', text: 'text/plain; charset=utf-8' } as const satisfies Record<
  ScreenFormat,
  string
>

/** @throws HttpFault 409 */
function requireRunning(server: Server): void {
  requireHost(server)
  if (isOff(server.vmState)) throw new HttpFault(409, `Instance ${server.id} is off and shows no screen.`)
}

/** Has its own deadline, because other callers may wait for the same screenshot after this one has left. */
async function takeScreenshot(
  deps: ScreenshotDeps & { readonly screens: ScreenReader },
  serverId: string,
  format: ScreenFormat,
  caller: Omit<Opener, 'signal'>,
): Promise<Uint8Array<ArrayBuffer>> {
  const options = { role: 'watch', label: LABEL, singleUse: true, invitationId: null } as const
  const wanted = {
    serverId,
    type: 'novnc',
    options,
    ttlSeconds: Math.min(TTL_SECONDS, deps.config.tokens.ttl_seconds),
  } as const
  const opened = await openPermitted(deps, wanted, { ...caller, signal: AbortSignal.timeout(PICTURE_MS) })
  try {
    const url = reachableUrl(opened.url, serverId, deps.config.screenshots.proxy_url)
    return await deps.screens.read({ url, format, timeoutMs: PICTURE_MS })
  } catch (error) {
    throw error instanceof ScreenFailure ? faultOf(error) : error
  } finally {
    // The proxy has used it up, unless it could not be reached. A failure here only leaves it until it expires.
    await deps.tokens.revoke(opened.tokenId).catch(() => {})
  }
}

const tooLate = (cause: unknown) =>
  new HttpFault(504, 'The screenshot was not taken within limits.source_timeout_seconds.', { cause })

function reachableUrl(url: string, serverId: string, proxyUrl: string | undefined): string {
  return proxyUrl === undefined ? url : accessUrl('novnc', proxyUrl, tokenOf(url)!, serverId)
}

/** The message of a failure names the proxy's address, which only the log shows. */
function faultOf(cause: ScreenFailure): HttpFault {
  const options = { cause, headers: { 'Retry-After': '5' } }
  switch (cause.reason) {
    case 'timeout':
      return new HttpFault(504, `The screen showed no picture within ${PICTURE_MS / 1000} seconds.`, { cause })
    case 'refused':
      return new HttpFault(503, `The proxy did not open the console: ${cause.message}`, options)
    case 'unreachable':
      return new HttpFault(503, 'The console proxy does not answer the API (screenshots.proxy_url).', options)
    case 'unreadable':
      return new HttpFault(503, 'The screen cannot be read: it is too large, or its data are malformed.', options)
  }
}
