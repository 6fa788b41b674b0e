/**
 * Makes a program of an app: one file with everything inside, one for each of its threads, and a launcher in front of it, so
 * that `node apps/api/dist/main.js` needs nothing but Node beside it.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { stackMap } from './stack-map.ts'

export interface BundleOptions {
  /** The app's folder, as a `file:` URL that ends in a slash. */
  readonly app: URL
  /** Folders copied beside the program, by their name there. */
  readonly copy?: Readonly<Record<string, URL>>
  /** Modules that the program starts as threads: each becomes a file beside it, by its name there. */
  readonly threads?: Readonly<Record<string, URL>>
}

/** Bundles `src/main.ts` of `app` into `dist/program.js`, and puts the launcher at `dist/main.js`. */
export async function bundleApp({ app, copy = {}, threads = {} }: BundleOptions): Promise<void> {
  const inApp = (path: string) => fileURLToPath(new URL(path, app))
  rmSync(inApp('dist'), { recursive: true, force: true })
  await bundle(inApp('src/main.ts'), inApp('dist/program.js'))
  await bundle(fileURLToPath(new URL('launcher.ts', import.meta.url)), inApp('dist/main.js'))
  for (const [name, module] of Object.entries(threads)) await bundle(fileURLToPath(module), inApp(`dist/${name}`))
  for (const [name, folder] of Object.entries(copy)) {
    // The maps of the pages are for developers: users would download twice the bytes to see what the repository shows.
    cpSync(fileURLToPath(folder), inApp(`dist/${name}`), { recursive: true, filter: (file) => !file.endsWith('.map') })
  }
}

async function bundle(input: string, file: string): Promise<void> {
  const build = await rolldown({
    input,
    platform: 'node',
    // rolldown adds `import` or `require`, whichever a module is asked for by.
    resolve: { conditionNames: ['@oriel/source', 'node', 'default'] },
    external: [/^node:/, /^\.\/program\.js$/, ...OPTIONAL],
    logLevel: 'warn',
  })
  await build.write({ file, format: 'esm', codeSplitting: false, sourcemap: true })
  const map = `${file}.map`
  writeFileSync(map, JSON.stringify(stackMap(JSON.parse(readFileSync(map, 'utf8')))))
}

// Native helpers that ws, pg and mysql2 use when somebody has installed them.
const OPTIONAL = ['bufferutil', 'utf-8-validate', 'pg-native', 'pg-cloudflare', 'cardinal']
