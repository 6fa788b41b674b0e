/** Bundles scripts of this package for browsers, in memory. */
import { fileURLToPath } from 'node:url'
import { type InputOptions, type OutputChunk, rolldown } from 'rolldown'
import { stripped } from '../assets.ts'

const source = new URL('../src/', import.meta.url)

/** Bundles a script of `src`, and returns it with the chunks that it imports at once. */
export async function scriptsAtOnce(entry: string): Promise<string[]> {
  const chunks = await chunksOf({ input: fileURLToPath(new URL(entry, source)) })
  const needed = new Set([chunks[0]!.fileName])
  for (const name of needed)
    for (const next of chunks.find(({ fileName }) => fileName === name)!.imports) needed.add(next)
  return chunks.filter(({ fileName }) => needed.has(fileName)).map(({ code }) => code)
}

/** Bundles a script of `src`, and returns the files in all its chunks. */
export async function modulesOf(entry: string): Promise<string[]> {
  const chunks = await chunksOf({ input: fileURLToPath(new URL(entry, source)) })
  return chunks.flatMap(({ modules }) => Object.keys(modules))
}

/** Bundles a page's script that is given as text, and returns its chunks, the entry first. */
export async function bundledText(text: string): Promise<string[]> {
  const page = fileURLToPath(new URL('page.ts', source))
  const chunks = await chunksOf({
    input: page,
    plugins: [
      {
        name: 'page',
        load: (id) => (id === page ? text : undefined),
        resolveId: (id) => (id === page ? id : undefined),
      },
    ],
  })
  return chunks.map(({ code }) => code)
}

async function chunksOf(options: InputOptions): Promise<OutputChunk[]> {
  const bundle = await rolldown({
    ...options,
    platform: 'browser',
    resolve: { conditionNames: ['@oriel/source', 'import', 'browser', 'default'] },
    plugins: [stripped, options.plugins],
    logLevel: 'silent',
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  return output.filter((file) => file.type === 'chunk')
}
