/**
 * The key by which a page names its own session to the proxy. A page creates one for each console that it opens, and offers it
 * as a WebSocket subprotocol, because logs record URLs. The proxy never selects that subprotocol. A later request with the
 * key, such as that for presence, finds the open session.
 *
 * Separate from the messages of presence, so that pages need not bundle their schemas.
 */

/** The prefix of the subprotocol; the key follows it. */
export const PAGE_SUBPROTOCOL_PREFIX = 'oriel.page.'

/** 128 bits in base64url without padding. The last character encodes only two of them. */
const PAGE_KEY = /^[\w-]{21}[AQgw]$/

export const isPageKey = (text: string): boolean => PAGE_KEY.test(text)

/** Returns the subprotocol to offer for `key`. */
export const pageSubprotocol = (key: string): string => PAGE_SUBPROTOCOL_PREFIX + key

/** The last segment of the path of the presence WebSocket, in the folder of the path that the console was opened at. */
export const PRESENCE_PATH = 'oriel.session'
/** The WebSocket subprotocol of presence. Offer it together with the page key of the console. */
export const PRESENCE_SUBPROTOCOL = 'oriel.presence'
