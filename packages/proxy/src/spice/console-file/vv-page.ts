/** The page that a person sees in place of the `.vv` file: what is wrong, and what to do about it. */
import { type RefusalName, refusals } from '@oriel/contract'

/** Why there is no file. `in_use` is known to native consoles alone. */
export type VvRefusal = RefusalName | 'in_use'

interface Explained {
  readonly status: number
  readonly text: string
}

const link =
  'This console link is not valid, or not valid any more. Go back to where you got it and ask for a new console.'

/** Where the words of the WebSocket's refusals do not fit a person who follows a link. */
const own: Partial<Record<VvRefusal, Explained>> = {
  bad_request: { status: 400, text: 'The request is not one that the console proxy understands.' },
  missing_token: { status: 404, text: link },
  unknown_token: { status: 404, text: link },
  wrong_console_type: {
    status: 404,
    text: 'This link belongs to another kind of console. Ask for a console of type spice-direct.',
  },
  too_many: { status: 429, text: 'Too many consoles were asked for. Wait a minute, then open the link again.' },
  in_use: { status: 409, text: 'Somebody uses this console at the moment. Open the link again when it is free.' },
}

export function vvRefusal(name: VvRefusal): Explained {
  return own[name] ?? refusals[name as RefusalName]
}

export const PAGE_HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
} as const

/** Only words of the catalogue stand in it: nothing that came with the request. */
export function refusalPage(name: VvRefusal): string {
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
