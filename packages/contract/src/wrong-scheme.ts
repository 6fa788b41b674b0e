/** Recognises `http` written for `https`, or the reverse, in the parse errors that TLS and HTTP report for it. */

/** The error or the response of a request. */
export interface SchemeSymptoms {
  /** The error, with its causes, if the request failed. */
  readonly error?: unknown
  /** The response's status and text, if the server responded. */
  readonly status?: number
  readonly text?: string
}

/**
 * Explains which protocol the server at `url` speaks and which scheme to write. Returns `undefined` if the failure does not
 * look like a wrong scheme.
 * @param url the request's address, of which only host and port appear in the text
 */
export function wrongScheme(url: string, { error, status, text = '' }: SchemeSymptoms): string | undefined {
  const { protocol, host } = new URL(url)
  if (protocol === 'https:') return speaksHttp(error) ? `${host} speaks http: write http://` : undefined
  if (status === 400 && SPEAKS_TLS.test(text)) return `${host} speaks https: write https://`
  if (isGarbled(error)) return `${host} does not answer in http; if it speaks https, write https://`
  if (isHangUp(error)) return `${host} closed the connection without an answer; if it speaks https, write https://`
  return undefined
}

/** OpenSSL takes the first bytes of an HTTP response for a TLS record with an invalid version or length. */
const speaksHttp = (error: unknown) =>
  causes(error).some(
    ({ code, message }) =>
      /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code) ||
      /wrong version number|packet length too long/.test(message),
  )

/** The error pages of nginx, HAProxy and Go, and Apache. */
const SPEAKS_TLS =
  /plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|plain HTTP to an SSL-enabled/i

/** A TLS alert is not HTTP: llhttp reports `HPE_INVALID_…`, which undici rewords. */
const isGarbled = (error: unknown) =>
  causes(error).some(({ code, message }) => code.startsWith('HPE_INVALID') || /does not match the HTTP/.test(message))

/** Many TLS servers close at once, but other servers may as well: only a hint. */
const isHangUp = (error: unknown) =>
  causes(error).some(({ message }) => /socket hang up|other side closed/.test(message))

const MAX_CAUSES = 5

function causes(error: unknown): readonly { readonly code: string; readonly message: string }[] {
  const found = []
  let cause = error as { code?: unknown; message?: unknown; cause?: unknown } | undefined
  while (cause !== undefined && cause !== null && found.length < MAX_CAUSES) {
    found.push({ code: String(cause.code ?? ''), message: String(cause.message ?? '') })
    cause = cause.cause as typeof cause
  }
  return found
}
