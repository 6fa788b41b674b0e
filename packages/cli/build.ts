/** Bundles the command with all its dependencies into `dist/oriel.js`, and collects their licences beside it. */
import { chmodSync, existsSync, globSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type OutputChunk, rolldown } from 'rolldown'

const folder = import.meta.dirname
rmSync(join(folder, 'dist'), { recursive: true, force: true })
const build = await rolldown({
  input: join(folder, 'src/main.ts'),
  platform: 'node',
  resolve: {
    conditionNames: ['@oriel/source', 'node', 'default'],
    alias: { '@modelcontextprotocol/server/_shims': join(folder, 'src/mcp/server-shims.ts') },
  },
  // ws uses them if they are installed.
  external: [/^node:/, 'bufferutil', 'utf-8-validate'],
  transform: { target: 'node22' },
  logLevel: 'warn',
})
const file = join(folder, 'dist/oriel.js')
const { output } = await build.write({
  ...{ file, format: 'esm', codeSplitting: false, banner: '#!/usr/bin/env node' },
  // The names of functions stay, for the stack of ORIEL_DEBUG=1.
  minify: { compress: true, mangle: { keepNames: true }, codegen: true },
})
chmodSync(file, 0o755)
const packages = [...bundledPackages(output[0])]
writeFileSync(join(folder, 'dist/THIRD-PARTY.txt'), licences(packages))
writeFileSync(join(folder, 'dist/bundled-packages.json'), JSON.stringify(packages.map(manifestOf).toSorted(byName)))

function bundledPackages({ moduleIds }: OutputChunk): ReadonlySet<string> {
  return new Set(moduleIds.flatMap((id) => [...packageOf(id), ...packagesInside(id)]))
}

function manifestOf(path: string): { readonly name: string; readonly version: string; readonly license: string } {
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  return { name, version, license }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}

/** Returns the licence of each bundled package, below its name. */
function licences(packages: readonly string[]): string {
  const texts = packages.map((path) => {
    const { name, version } = manifestOf(path)
    return `${name} ${version}\n\n${licenceOf(path)}`
  })
  return texts.toSorted().join(`\n${'-'.repeat(80)}\n`)
}

function packageOf(id: string): readonly string[] {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id) ?? []
}

/** Some packages are bundles themselves, and name the packages inside only in comments. Those are dependencies for their licence. */
function packagesInside(id: string): readonly string[] {
  if (!/\/node_modules\/.*\.m?js$/.test(id)) return []
  const regions = readFileSync(id, 'utf8').matchAll(/^\/\/#region .*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)
  return [...regions].map(([, name]) => realpathSync(join(folder, 'node_modules', name!)))
}

function licenceOf(path: string): string {
  const [name] = globSync('{LICENSE,LICENCE,license}*', { cwd: path })
  if (name === undefined || !existsSync(dirname(join(path, name)))) throw new Error(`${path} has no licence file`)
  return readFileSync(join(path, name), 'utf8').trim()
}
