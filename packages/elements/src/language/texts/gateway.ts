/** The English texts about servers between the page and the proxy of its console. */
import { translator } from '../translate.ts'

export const gatewayTexts = {
  'end.proxy_unreachable': 'The console proxy cannot be reached.',
  'end.too_many_requests': 'Too many requests came from your address.',
  'end.sign_in_needed': 'A server on the way to the console asks you to sign in. Reload the page to do so.',
  'end.gateway_refused': 'A server on the way to the console does not let this page through.',
  'end.no_console': 'There is no console at this address, or no longer.',
} as const

export const t = translator(gatewayTexts)
