/** Suggests the names that a person probably meant. */
import { distance } from 'fastest-levenshtein'

/** Returns up to `count` of `known` that are near `name`, nearest first. */
export function nearest(name: string, known: readonly string[], count = 1): string[] {
  const wanted = name.toLowerCase()
  const ranked = [...new Set(known)].map((candidate) => ({ candidate, far: farness(wanted, candidate.toLowerCase()) }))
  const limit = Math.max(2, Math.floor(name.length / 2))
  const near = ranked.filter(({ far }) => far <= limit).sort((a, b) => a.far - b.far)
  return near.slice(0, count).map(({ candidate }) => candidate)
}

// A part of a name is nearer than a name with a few other letters.
const farness = (wanted: string, candidate: string) =>
  candidate.startsWith(wanted) || (wanted.length > 2 && candidate.includes(wanted)) ? 1 : distance(wanted, candidate)

/** Returns ` Did you mean a or b?`, or the empty string. */
export const suggestion = (names: readonly string[]): string =>
  names.length === 0 ? '' : ` Did you mean ${names.join(' or ')}?`
