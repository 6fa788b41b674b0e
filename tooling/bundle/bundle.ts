/**
 * Bundles an app: one file with all dependencies, one for each of its threads, and a launcher. So
 * `node apps/api/dist/main.js` needs only Node.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { type BundledPackage, mergePackages, noticesOf, packagesOfMap } from './packages.ts'
import { stackMap } from './stack-map.ts'

export interface BundleOptions {
  /** The app's folder, as a `file:` URL that ends in a slash. */
  readonly app: URL
  /** Folders to copy beside the program, by their new name. */
  readonly copy?: Readonly<Record<string, URL>>
  /** Modules that the program starts as threads, by the name of their bundle. */
  readonly threads?: Readonly<Record<string, URL>>
}

/**
 * Bundles `src/main.ts` of `app` into `dist/program.js`, and puts the launcher at `dist/main.js`. Lists the packages in the
 * bundles in `dist/bundled-packages.json`, and their licences in `dist/THIRD-PARTY-NOTICES.txt`.
 */
export async function bundleApp({ app, copy = {}, threads = {} }: BundleOptions): Promise<void> {
  const inApp = (path: string) => fileURLToPath(new URL(path, app))
  rmSync(inApp('dist'), { recursive: true, force: true })
  const lists = [
    await bundle(inApp('src/main.ts'), inApp('dist/program.js')),
    await bundle(fileURLToPath(new URL('launcher.ts', import.meta.url)), inApp('dist/main.js')),
  ]
  for (const [name, module] of Object.entries(threads)) {
    lists.push(await bundle(fileURLToPath(module), inApp(`dist/${name}`)))
  }
  const packages = mergePackages(...lists)
  writeFileSync(inApp('dist/THIRD-PARTY-NOTICES.txt'), noticesOf(packages))
  writeFileSync(inApp('dist/bundled-packages.json'), JSON.stringify(packages.map(({ notice: _, ...entry }) => entry)))
  for (const [name, folder] of Object.entries(copy)) {
    // Omit source maps of the pages: they would double the download, and the repository has the sources.
    cpSync(fileURLToPath(folder), inApp(`dist/${name}`), { recursive: true, filter: (file) => !file.endsWith('.map') })
  }
}

/** Returns the packages in the bundle. The map that stays names none of them. */
async function bundle(input: string, file: string): Promise<readonly BundledPackage[]> {
  const build = await rolldown({
    input,
    platform: 'node',
    // rolldown itself adds `import` or `require`.
    resolve: { conditionNames: ['@oriel/source', 'node', 'default'], alias: { bufferutil: MASK_WORDS } },
    external: [/^node:/, /^\.\/program\.js$/, ...OPTIONAL],
    logLevel: 'warn',
  })
  await build.write({ file, format: 'esm', codeSplitting: false, sourcemap: true })
  const map = `${file}.map`
  const packages = packagesOfMap(map)
  writeFileSync(map, JSON.stringify(stackMap(JSON.parse(readFileSync(map, 'utf8')))))
  return packages
}

/** In place of the native module for which ws asks. */
const MASK_WORDS = fileURLToPath(new URL('mask-words.ts', import.meta.url))
// Optional native modules, which ws, pg and mysql2 use if they are installed.
const OPTIONAL = ['utf-8-validate', 'pg-native', 'pg-cloudflare', 'cardinal']
