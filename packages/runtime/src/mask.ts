/**
 * Masks credentials in text before it is logged: console tokens in URLs, cookies and headers.
 *
 * Masking too much costs a word in a log; masking too little leaks a console (CVE-2015-9543). So where the end of a
 * credential is uncertain, the mask covers more.
 */
const MASK = '***'

/** Replaces every credential that it recognises in `text` by `***`. */
export function maskTokens(text: string): string {
  // Most strings of a log are harmless, and this one pattern takes much less time than all rules.
  return SUSPECT.test(text) ? maskByRules(text) : text
}

/** {@link maskTokens} without its shortcut. */
export function maskByRules(text: string): string {
  return RULES.reduce((masked, [pattern, replacement]) => masked.replace(pattern, replacement), text)
}

/** Masks the credentials in a URL, absolute or the path of a request. */
export function redactUrl(url: string | URL): string {
  return maskTokens(String(url))
}

/**
 * Masks credentials in a JSON value at every depth: replaces the values of keys that name a credential as a whole, and
 * applies `maskTokens` to all other strings and keys.
 */
export function maskValue(value: unknown): unknown {
  if (typeof value === 'string') return maskTokens(value)
  if (Array.isArray(value)) return value.map((element, index) => maskElement(element, value[index - 1]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [maskTokens(key), maskField(key, inner)]))
}

/** Keys whose value is a credential, in any case: `X-Auth-Token`, `adminPass`, `service_token`, `cookie`. */
const CREDENTIAL_KEY =
  /(token|ticket|password|passwd|adminpass|secret|authorization|cookies?|referr?er|credentials?|private[-_]?key)$/i

/** Header names in raw header lists, where the next element is the value. */
const CREDENTIAL_HEADER = /^(proxy-authorization|authorization|cookie|set-cookie|referer|x-[\w-]*token)$/i

/** Text up to the end of a query value, cookie or word. */
const VALUE = String.raw`(?:"[^"]*"?|'[^']*'?|[^&\s"'<>]*)`

const RULES: readonly (readonly [RegExp, string])[] = [
  // `Authorization: Bearer x y`, `Cookie: a=b; token=c`, `'x-auth-token': 'x'`, `\"cookie\":\"x\"`: to the closing quote
  // or, unquoted, to the end of the line, since schemes and cookies have blanks in them.
  [
    /((?:proxy-)?authorization|(?:set-)?cookie|referer|x-[a-z-]{0,40}token)((?:(?:\\*["'])?\s*[:=]|\\*["']\s*,)\s*)(?:(\\*["'])(?:(?!\3)[^\r\n])*|[^\s"'\\\r\n][^"'\r\n]*)/gi,
    `$1$2$3${MASK}`,
  ],
  // `"token":"x"`, `password: 'x'` in text that holds JSON or a printed object.
  [
    /((?:token|ticket|password|passwd|adminpass|secret)(?:\\*["'])?\s*:\s*)(\\*["'])(?:(?!\2)[^\r\n])+/gi,
    `$1$2${MASK}`,
  ],
  // `token=x` in a query, fragment or cookie, however often it was percent-encoded: `path=%3Ftoken%3Dx`, `%74oken=x`.
  [new RegExp(`(${encodable('token')}${encodable('=')})${VALUE}`, 'gi'), `$1${MASK}`],
  [new RegExp(`((?:${encodable('password')}|${encodable('ticket')})${encodable('=')})${VALUE}`, 'gi'), `$1${MASK}`],
  // The token is a path segment in Nova's route for connect info.
  [new RegExp(`(${encodable('console-auth-tokens')}(?:/|%(?:25)*2f)+)[^/?#&\\s"'<>]+`, 'gi'), `$1${MASK}`],
  // Passwords in database and proxy URLs.
  [/(:\/\/[^\s/:@"'<>]*:)[^\s/"'<>]*@/g, `$1${MASK}@`],
  [/\b(bearer\s+)[\w.~+/=-]{6,}/gi, `$1${MASK}`],
  // A JSON Web Token, anywhere in the text.
  [/(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, MASK],
]

/** Matches every text in which one of {@link RULES} finds something: a letter of their words may be percent-encoded. */
const SUSPECT = /token|ticket|pass|secret|authorization|cookie|referer|bearer|eyJ|:\/\/|%/i

function maskField(key: string, value: unknown): unknown {
  const harmless = typeof value === 'number' || typeof value === 'boolean' || value === null
  return CREDENTIAL_KEY.test(key) && !harmless ? MASK : maskValue(value)
}

function maskElement(element: unknown, before: unknown): unknown {
  return typeof before === 'string' && CREDENTIAL_HEADER.test(before) ? MASK : maskValue(element)
}

/** A pattern for `word` in which every character may be percent-encoded, any number of times over (`%2574`). */
function encodable(word: string): string {
  const code = (character: string) => character.charCodeAt(0).toString(16)
  return [...word].map((c) => `(?:${c}|%(?:25)*(?:${code(c)}|${code(c.toUpperCase())}))`).join('')
}
