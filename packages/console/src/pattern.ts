/** Searches text for a string or a regular expression. */

export interface Found {
  /** The text that matched. */
  readonly text: string
  /** Where it begins. */
  readonly index: number
  /** The groups of the regular expression, as of `RegExp.exec`. Empty for a string. */
  readonly groups: readonly (string | undefined)[]
}

/** Returns the first match in `text`. */
export function find(text: string, pattern: RegExp | string): Found | undefined {
  if (typeof pattern === 'string') {
    const index = text.indexOf(pattern)
    return index < 0 ? undefined : { text: pattern, index, groups: [] }
  }
  // A global or sticky expression would go on at its `lastIndex`.
  const found = new RegExp(pattern, pattern.flags.replace(/[gy]/g, '')).exec(text)
  return found === null ? undefined : { text: found[0], index: found.index, groups: found.slice(1) }
}

/** Formats a pattern for a message. */
export const shown = (pattern: RegExp | string): string =>
  typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern)
