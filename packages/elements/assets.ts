/** How the pages load fast: for the build, and for tests that hold the pages to a size. */
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { OutputChunk, Plugin } from 'rolldown'

const source = fileURLToPath(new URL('src/', import.meta.url))

/** Strips the style sheet of an element, a text that minifying leaves as it is. It ends its file, so the source map stays right. */
export const stripped: Plugin = {
  name: 'stripped',
  transform(code, id) {
    if (!id.startsWith(source) || !code.includes('\nconst css = `')) return undefined
    return { code: code.replace(/(?<=\nconst css = `)[^`]*(?=`\n$)/, stripStyles), map: null }
  },
}

/** Removes comments, and blanks that separate nothing. */
export function stripStyles(css: string): string {
  return css
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s*([{};,])\s*/g, '$1')
    .replace(/: /g, ':')
}

/** The memory decides how long the blocks are that zlib compresses with one table, and no length is the best for all files. */
export function smallestGzip(content: Buffer): Buffer {
  const copies = [6, 7, 8, 9].map((memLevel) => gzipSync(content, { level: 9, memLevel }))
  return copies.reduce((best, copy) => (copy.length < best.length ? copy : best))
}

/**
 * Returns the files that a browser needs before it runs `script`, also those that only its imports import. Unless the page names them,
 * it asks for those only once it has the imports.
 */
export function filesBefore(
  script: Pick<OutputChunk, 'imports'>,
  chunks: readonly Pick<OutputChunk, 'fileName' | 'imports'>[],
): readonly string[] {
  const files = new Set(script.imports)
  for (const file of files)
    for (const next of chunks.find(({ fileName }) => fileName === file)?.imports ?? []) files.add(next)
  return [...files]
}
