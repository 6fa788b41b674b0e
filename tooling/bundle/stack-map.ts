/**
 * Source maps for stack traces alone. Node reads a program's map when it loads the program and parses it at the first stack
 * trace, on the thread that relays: the whole map of `oriel` costs 80 MB and up to a second there.
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
 * Reduces a map to what names a line: one mapping for each generated line of our own sources. Lines of dependencies have none,
 * so their frames say `program.js`.
 */
export function stackMap({ version, sources, mappings }: SourceMapFile): SourceMapFile {
  const kept = sources.flatMap((source, index) => (DEPENDENCY.test(source) ? [] : [index]))
  const indices = new Map(kept.map((index, at) => [index, at]))
  let isOurs = false
  const lines = decode(mappings).map((segments) => {
    const first = firstOf(segments, indices)
    // Node takes the nearest mapping before a place, so one without a source ends those of our own.
    const ends = isOurs && first === undefined
    isOurs = first !== undefined
    return first ? [first] : ends ? [END] : []
  })
  return { version, sources: kept.map((index) => sources[index]!), names: [], mappings: encode(lines) }
}

const END: SourceMapSegment = [0]

/** The first mapping of a line to a source that is kept, moved to the line's beginning. */
function firstOf(
  segments: readonly SourceMapSegment[],
  indices: ReadonlyMap<number, number>,
): SourceMapSegment | undefined {
  const first = segments.find((segment) => segment.length > 1)
  const source = first && first.length > 1 ? indices.get(first[1]!) : undefined
  return first && source !== undefined ? [0, source, first[2]!, first[3]!] : undefined
}
