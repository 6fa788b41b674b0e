/**
 * Console pages in frames of other pages. `frame-ancestors` decides which pages may show them. In any other page the browser
 * leaves the frame empty without a message, so the proxy answers a request for such a frame with a page that names the missing
 * origin.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { allowingLine } from '@oriel/runtime'
import { type AllowedOrigin, isListed, originEntry, parseOrigin } from '../admit/origin.ts'
import type { Site } from '../admit/site.ts'

/** The embedding page of a frame that may not show consoles. */
export interface ForeignFrame {
  /** As `origin.allowed` would list it; `undefined` if the browser does not name it. */
  readonly origin?: string
}

/** Destinations of Fetch Metadata that are frames. Browsers send them to https and loopback addresses only. */
const FRAMES: ReadonlySet<unknown> = new Set(['iframe', 'frame', 'embed', 'object', 'fencedframe'])
/** The values for an embedding page whose origin differs from the console page's. */
const FOREIGN: ReadonlySet<unknown> = new Set(['cross-site', 'same-site'])

/**
 * Returns the embedding page, if a console page is requested for a frame that `frame-ancestors` will leave empty. Ignores
 * links that a user followed inside a frame: their referrer is not the embedding page. Without a referrer the embedding page
 * may be an allowed one, so the request counts only if no origin is allowed.
 */
export function foreignFrame(
  headers: IncomingHttpHeaders,
  allowed: readonly AllowedOrigin[],
): ForeignFrame | undefined {
  if (!FRAMES.has(headers['sec-fetch-dest']) || !FOREIGN.has(headers['sec-fetch-site'])) return undefined
  if (headers['sec-fetch-user'] !== undefined) return undefined
  const around = referrerOrigin(headers)
  if (!around) return allowed.length === 0 ? {} : undefined
  return isListed(around, allowed) ? undefined : { origin: originEntry(around) }
}

/**
 * Returns the origin of the page that leads to a console page, if it is on another host and not allowed, and the browser
 * does not report whether it shows the console page in a frame.
 */
export function foreignReferrer(
  headers: IncomingHttpHeaders,
  { hostName }: Site,
  allowed: readonly AllowedOrigin[],
): string | undefined {
  const origin = headers['sec-fetch-dest'] === undefined ? referrerOrigin(headers) : undefined
  if (!origin || origin.hostName === hostName || isListed(origin, allowed)) return undefined
  return originEntry(origin)
}

const referrerOrigin = ({ referer = '' }: IncomingHttpHeaders) => parseOrigin(URL.parse(referer)?.origin ?? '')

/** Sends the page that explains why the frame shows no console. It has neither script nor token, so any page may frame it. */
export function sendFrameNotice(response: ServerResponse, { origin }: ForeignFrame): void {
  const body = noticePage(origin)
  response.writeHead(403, { ...HEADERS, 'Content-Length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d9dee8, #333c50); --accent: light-dark(#2b5fd9, #7aa2ff) }
body { margin: 0; padding: 1.25rem; background: light-dark(#f4f6fa, #10141f); color: light-dark(#161b26, #eef1f7); font: 1rem/1.5 system-ui, sans-serif }
main { box-sizing: border-box; max-width: 34rem; margin: 0 auto; padding: 1.25rem 1.5rem; border: 1px solid var(--line); border-radius: .75rem; background: light-dark(#fff, #1b2130) }
h1 { margin: 0; font-size: 1.15rem; line-height: 1.4 }
p { margin: .75rem 0 0 }
h1, code { overflow-wrap: anywhere }
a { color: var(--accent); font-weight: 600 }
pre { margin: .5rem 0 0; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: .5rem; white-space: pre-wrap; font-size: .9rem }
`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

const HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors *`,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
} as const

/** @param origin in the format of {@link originEntry}, which contains no character that HTML would need to escape */
const noticePage = (origin: string | undefined) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No console in this frame</title>
<style>${STYLE}</style>
<main>
<h1>This console proxy may not be shown inside ${origin ?? 'a page of another site'}</h1>
<p><a href="" target="_blank" rel="noopener noreferrer">Open the console in a new tab</a></p>
<p>If you operate the console proxy, allow the page with this line in its configuration:</p>
<pre><code>${allowingLine('origin.allowed', [origin ?? 'https://dashboard.example'])}</code></pre>
</main>
</html>
`
