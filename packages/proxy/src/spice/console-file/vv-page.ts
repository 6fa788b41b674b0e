/** The error page in place of a `.vv` file: the reason, and what the user can do. */
import { type RefusalName, refusals } from '@oriel/contract'

interface Explained {
  readonly status: number
  readonly text: string
}

const link =
  'This console link is invalid or has expired. Go back to the page where you got it and request a new console.'

/** Texts for a user who follows a link, in place of the contract's texts for WebSocket clients. */
const pageTexts: Partial<Record<RefusalName, Explained>> = {
  bad_request: { status: 400, text: 'The console proxy cannot read this request. Open the link again.' },
  missing_token: { status: 404, text: link },
  unknown_token: { status: 404, text: link },
  wrong_console_type: {
    status: 404,
    text: 'This link is for another console type. Request a console of type spice-direct.',
  },
  too_many: { status: 429, text: 'Too many consoles were requested. Wait a minute, then open the link again.' },
  in_use: { status: 409, text: 'Another user has this console open. Open the link again later.' },
}

export function vvRefusal(name: RefusalName): Explained {
  return pageTexts[name] ?? refusals[name]
}

export const PAGE_HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
} as const

/** Builds the page from constant texts only, so that the request cannot inject markup. */
export function refusalPage(name: RefusalName): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The console did not open</title>
<style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem } @media (prefers-color-scheme: dark) { body { background: #181a1f; color: #e6e6e6 } }</style>
<h1>The console did not open</h1>
<p>${vvRefusal(name).text}</p>
</html>
`
}
