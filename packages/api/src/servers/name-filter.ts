/** The `name` filter of server lists. */

/** The longest name of a server. Longer patterns match nothing. */
const MAX_PATTERN_LENGTH = 255

/**
 * Returns a test for names, in the subset of regular expressions that clients send: `^` and `$` at the ends, `.`, `.*` and
 * backslashes. Other characters match themselves, case-insensitively and anywhere in the name. Does not use `RegExp`, since
 * callers choose the pattern and could make it backtrack for ever.
 */
export function nameFilter(pattern: string): (name: string) => boolean {
  if (pattern.length > MAX_PATTERN_LENGTH) return () => false
  const anchored = pattern.startsWith('^')
  const closed = /(?<!\\)(\\\\)*\$$/.test(pattern)
  const tokens = tokenize(pattern.slice(anchored ? 1 : 0, closed ? -1 : undefined))
  const whole = [...(anchored ? [] : ANYWHERE), ...tokens, ...(closed ? [] : ANYWHERE)]
  return (name) => matches(whole, [...name.toLowerCase()])
}

const ANY: unique symbol = Symbol('any run of characters')
const ONE: unique symbol = Symbol('any one character')
type Token = string | typeof ANY | typeof ONE
const ANYWHERE: readonly Token[] = [ANY]

function tokenize(pattern: string): readonly Token[] {
  return [...pattern.matchAll(/\.\*|\.|\\.|[\s\S]/gu)].map(([text]): Token => {
    if (text === '.*') return ANY
    if (text === '.') return ONE
    return (text.length > 1 && text.startsWith('\\') ? text.slice(1) : text).toLowerCase()
  })
}

// Backtracks only to the last `.*`, which then matches one character more. At most pattern length times name length steps.
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let at = 0
  let run: { readonly token: number; readonly at: number } | undefined
  for (let i = 0; i < name.length; ) {
    const token = tokens[at]
    if (token === ANY) {
      run = { token: at, at: i }
      at += 1
    } else if (token === ONE || token === name[i]) {
      at += 1
      i += 1
    } else if (run) {
      run = { token: run.token, at: run.at + 1 }
      at = run.token + 1
      i = run.at
    } else return false
  }
  return tokens.slice(at).every((token) => token === ANY)
}
