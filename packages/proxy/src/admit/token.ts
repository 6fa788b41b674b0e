/** The console auth token of a request: in the query, inside noVNC's `path`, or in a cookie. */
import type { OpenableConsoleType } from '@oriel/contract'
import { Secret } from '@oriel/runtime'
import { Refused } from '../refused.ts'

/** The tokens that Nova and Oriel mint, and similar ones. URL-safe; not `.` or `..`, since it becomes a path segment. */
const TOKEN = /^(?!\.{1,2}$)[\w.~-]{1,255}$/

/** Whether `text` has the form of a token. If it has not, the authority need not be asked. */
export const isToken = (text: string): boolean => TOKEN.test(text)

/**
 * Returns the token in a request, or `undefined`. Nova's rule: the last non-empty `token` of the query, else the cookie
 * `token`. Before the cookie, Oriel also reads the query in noVNC's `path` parameter.
 * @param target the request target, such as `/?token=…`
 * @param cookie the `Cookie` header
 */
export function requestToken(target: string, cookie?: string): string | undefined {
  const query = queryOf(target)
  return lastToken(query) ?? tokenInPath(query) ?? cookieToken(cookie ?? '')
}

/**
 * Returns the token in a request. A malformed token is refused without a look-up, since no authority minted it.
 * @param cookie the `Cookie` header. Default: the query alone is read
 * @throws Refused `missing_token`, `unknown_token`
 */
export function requireToken(target = '', cookie?: string): Secret {
  const token = requestToken(target, cookie)
  if (token === undefined) throw new Refused('missing_token', 'the request has no token')
  if (!isToken(token)) throw new Refused('unknown_token', 'the token is malformed')
  return new Secret(token)
}

/**
 * Checks the type of a token, if the authority returned one, which Nova does not.
 * @throws Refused `wrong_console_type`
 */
export function requireSameType(type: OpenableConsoleType | undefined, served: OpenableConsoleType): void {
  if (type === undefined || type === served) return
  throw new Refused('wrong_console_type', `the token is for ${type}, the address for ${served}`)
}

/** The query of a request target, such as `/?token=…`. */
export function queryOf(target: string): URLSearchParams {
  const mark = target.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
}

function lastToken(query: URLSearchParams): string | undefined {
  return query.getAll('token').findLast((value) => value !== '')
}

function tokenInPath(query: URLSearchParams): string | undefined {
  const path = query.getAll('path').at(-1)
  return path === undefined ? undefined : lastToken(queryOf(path))
}

function cookieToken(header: string): string | undefined {
  const values = header.split(';').map((pair) => /^\s*token=(.*?)\s*$/.exec(pair)?.[1])
  const last = values.findLast((value) => value !== undefined && value !== '')
  return last?.replace(/^"(.*)"$/, '$1')
}
