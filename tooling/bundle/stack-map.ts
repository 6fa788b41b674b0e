/**
 * Reduces source maps to what stack traces need. Node parses a program's map at the first stack trace, on the thread
 * that relays consoles: the full map of `oriel` takes 80 MB and up to a second there.
 */
import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec'

export interface SourceMapFile {
  readonly version: number
  readonly sources: readonly string[]
  readonly mappings: string
  readonly [key: string]: unknown
}

const DEPENDENCY = /(?:^|\/)node_modules\//

/**
 * Reduces a map to one mapping for each generated line of our own sources. Lines of dependencies get no mapping, so
 * their stack frames name `program.js`.
 */
export function stackMap({ version, sources, mappings }: SourceMapFile): SourceMapFile {
  const kept = sources.flatMap((source, index) => (DEPENDENCY.test(source) ? [] : [index]))
  const indices = new Map(kept.map((index, at) => [index, at]))
  let isOurs = false
  const lines = decode(mappings).map((segments) => {
    const first = firstOf(segments, indices)
    // Node uses the nearest preceding mapping, so a mapping without a source must follow our last line.
    const ends = isOurs && first === undefined
    isOurs = first !== undefined
    return first ? [first] : ends ? [END] : []
  })
  return { version, sources: kept.map((index) => sources[index]!), names: [], mappings: encode(lines) }
}

const END: SourceMapSegment = [0]

/** Returns a line's first mapping to a kept source, moved to the beginning of the line. */
function firstOf(
  segments: readonly SourceMapSegment[],
  indices: ReadonlyMap<number, number>,
): SourceMapSegment | undefined {
  const first = segments.find((segment) => segment.length > 1)
  const source = first && first.length > 1 ? indices.get(first[1]!) : undefined
  return first && source !== undefined ? [0, source, first[2]!, first[3]!] : undefined
}
