/** Patterns of absolute paths, in which `*` matches any characters of one segment and `?` one character. */

/** Returns a test for paths that match one of `patterns`. */
export function pathPatterns(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map((pattern) => new RegExp(`^${[...pattern].map(expressionOf).join('')}$`, 'su'))
  return (path) => expressions.some((expression) => expression.test(path))
}

/** @throws TypeError with what is wrong and what to write, in words that follow the quoted pattern */
export function parsePathPattern(text: string): string {
  const problem = problemOf(text)
  if (problem !== undefined) throw new TypeError(`${problem}, give one such as /run/oriel/*.sock`)
  return text
}

function problemOf(text: string): string | undefined {
  if (!text.startsWith('/')) return 'is not an absolute path'
  if (text.split('/').some((segment) => segment === '.' || segment === '..')) return 'has . or .. in it'
  if (text.includes('//') || text.endsWith('/')) return 'has an empty name between slashes'
  if (text.includes('**')) return 'has ** in it, but * stays within one folder'
  return undefined
}

const wildcards: Readonly<Record<string, string>> = { '*': '[^/]*', '?': '[^/]' }
const expressionOf = (character: string) => wildcards[character] ?? character.replace(/[\\^$.+()[\]{}|/]/, '\\$&')
