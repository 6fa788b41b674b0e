/** The packages that a release publishes on npm, and their SBOMs. */
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BundledPackage, mergePackages, packageIn } from '@oriel/bundle/packages'
import { cycloneDx, npmComponent, spdx } from '@oriel/image'
import { command } from './command.ts'

export interface PublishedPackage {
  readonly folder: string
  readonly name: string
  readonly version: string
  readonly dependencies: readonly string[]
}

/** Lists the packages that are not private, in the order of their folders. */
export function publishedPackages(workspace: string): readonly PublishedPackage[] {
  const folders = readdirSync(join(workspace, 'packages')).sort()
  return folders.flatMap((name) => {
    const folder = join(workspace, 'packages', name)
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    if (manifest.private) return []
    return [{ folder, name: manifest.name, version: manifest.version, dependencies: dependenciesOf(manifest) }]
  })
}

const dependenciesOf = (manifest: { readonly dependencies?: object }) => Object.keys(manifest.dependencies ?? {})

/** Packs a built package into `out`. @returns the tarball's file name */
export function pack({ folder, name, version }: PublishedPackage, out: string, pnpm: string): string {
  command('npx', ['--prefer-offline', '-y', pnpm, 'pack', '--pack-destination', out], folder)
  const file = `${name.replace('@', '').replace('/', '-')}-${version}.tgz`
  if (existsSync(join(out, file))) return file
  throw new Error(`pnpm pack made no ${file}`)
}

/** Writes `<tarball>.cdx.json` and `<tarball>.spdx.json` beside a tarball. */
export function writeBills(entry: PublishedPackage, tarball: string, created: string): void {
  const subject = { name: entry.name, version: entry.version, created }
  const parts = materialsOf(entry).map(npmComponent)
  writeFileSync(tarball.replace(/tgz$/, 'cdx.json'), cycloneDx(subject, parts))
  writeFileSync(tarball.replace(/tgz$/, 'spdx.json'), spdx(subject, parts))
}

/** The packages that are bundled in a package, and those that npm installs with it. */
function materialsOf({ folder, dependencies }: PublishedPackage): readonly BundledPackage[] {
  const list = join(folder, 'dist/bundled-packages.json')
  const bundled: BundledPackage[] = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : []
  const found = new Map<string, BundledPackage>()
  for (const name of dependencies) collect(join(folder, 'node_modules', name), found)
  return mergePackages(bundled, [...found.values()])
}

/** Adds the package in a folder and all that it depends on. pnpm links the dependencies of a package beside it. */
function collect(link: string, found: Map<string, BundledPackage>): void {
  const folder = realpathSync(link)
  if (found.has(folder)) return
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  found.set(folder, packageIn(folder))
  for (const name of dependenciesOf(manifest)) {
    const places = [
      join(folder, 'node_modules', name),
      join(folder, manifest.name.includes('/') ? '../..' : '..', name),
    ]
    collect(places.find(existsSync) ?? places[0]!, found)
  }
}
