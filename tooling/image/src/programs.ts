/** The layers above the root file system: Node, and one for each program. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type BundledPackage, mergePackages, packageIn, packagesOfMap } from '@oriel/bundle/packages'
import { run } from './command.ts'

/** Programs, and the folders of their apps. */
export const PROGRAMS = { 'oriel-api': 'api', 'oriel-proxy': 'proxy', oriel: 'oriel' } as const
export type Program = keyof typeof PROGRAMS

/** Copies the running Node without its symbols, which only debuggers of Node itself need: 127 MB become 109 MB. */
export function makeNode(folder: string): void {
  mkdirSync(join(folder, 'usr/bin'), { recursive: true })
  mkdirSync(join(folder, 'opt/oriel'), { recursive: true })
  mkdirSync(join(folder, 'usr/share/doc/node'), { recursive: true })
  run('strip', ['--strip-all', '--enable-deterministic-archives', '-o', join(folder, 'usr/bin/node'), process.execPath])
  copyFileSync(join(dirname(process.execPath), '../LICENSE'), join(folder, 'usr/share/doc/node/copyright'))
}

/** Copies a built program to `opt/oriel`. @throws Error if it is not built */
export function makeProgram(workspace: string, program: Program, folder: string): void {
  const app = join(workspace, 'apps', PROGRAMS[program])
  const target = join(folder, 'opt/oriel')
  try {
    cpSync(join(app, 'dist'), target, { recursive: true, filter: (file) => !file.endsWith('/bundled-packages.json') })
  } catch (cause) {
    throw new Error(`${program} is not built: run npm run build:all`, { cause })
  }
  copyFileSync(join(workspace, 'LICENSE'), join(target, 'LICENSE'))
  const { name, version, license } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
  writeFileSync(join(target, 'package.json'), `${JSON.stringify({ name, version, license, type: 'module' })}\n`)
}

export function versionOf(workspace: string, program: Program): string {
  return JSON.parse(readFileSync(join(workspace, 'apps', PROGRAMS[program], 'package.json'), 'utf8')).version
}

/** Lists the npm packages in a built program and in the pages that it serves. */
export function npmPackagesOf(workspace: string, program: Program): readonly BundledPackage[] {
  const dist = join(workspace, 'apps', PROGRAMS[program], 'dist')
  const bundled = JSON.parse(readFileSync(join(dist, 'bundled-packages.json'), 'utf8')) as readonly BundledPackage[]
  return readdirSync(dist).includes('pages') ? mergePackages(bundled, packagesOfPages(workspace)) : bundled
}

function packagesOfPages(workspace: string): readonly BundledPackage[] {
  const elements = join(workspace, 'packages/elements')
  const assets = join(elements, 'dist/pages/assets')
  const maps = readdirSync(assets).filter((file) => file.endsWith('.map'))
  // The pages load spice-html5 from its own, unchanged files.
  const beside = packageIn(join(elements, 'node_modules/@spice-project/spice-html5'))
  return mergePackages([beside], ...maps.map((map) => packagesOfMap(join(assets, map))))
}
