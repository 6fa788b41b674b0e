/** The npm packages in a bundle, for SBOMs and notices. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

export interface BundledPackage {
  readonly name: string
  readonly version: string
  /** An SPDX expression, as in its package.json. Absent if the package declares none. */
  readonly license?: string
  /** The texts of its licence files, joined. Empty if it has none. */
  readonly notice: string
}

/** Matches the folder of a package: the innermost `node_modules` counts. */
const PACKAGE_FOLDER = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//

/**
 * Lists the packages that a source map names, sorted by name and version. Packages of this workspace are left out.
 * @param map the file of the source map, with which its sources are resolved
 */
export function packagesOfMap(map: string): readonly BundledPackage[] {
  const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { readonly sources: readonly string[] }
  const folders = sources.flatMap((source) => PACKAGE_FOLDER.exec(resolve(dirname(map), source))?.[1] ?? [])
  return mergePackages([...new Set(folders)].map(packageIn))
}

/** Joins lists of packages into one, sorted, without repetitions. */
export function mergePackages(...lists: readonly (readonly BundledPackage[])[]): readonly BundledPackage[] {
  const byId = new Map(lists.flat().map((entry) => [`${entry.name}@${entry.version}`, entry]))
  return [...byId].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}

/** Reads the package in a folder. */
export function packageIn(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return { name, version, ...(typeof license === 'string' ? { license } : {}), notice: noticeIn(folder) }
}

function noticeIn(folder: string): string {
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
  return files
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').trim())
    .join('\n\n')
}

/** The licence texts of all packages, as a file to ship beside their bundle. */
export function noticesOf(packages: readonly BundledPackage[]): string {
  const line = `\n${'-'.repeat(80)}\n\n`
  return packages
    .map(
      ({ name, version, license = 'not declared', notice }) => `${name} ${version}\nLicence: ${license}\n\n${notice}\n`,
    )
    .join(line)
}
