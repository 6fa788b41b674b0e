/** Builds the images of all programs from the built workspace, without a container engine. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseContainerfile, type Stage } from './containerfile.ts'
import { makeRootFs, type RootFs } from './debian.ts'
import { type Layer, OciLayout } from './oci-layout.ts'
import { makeNode, makeProgram, npmPackagesOf, PROGRAMS, type Program, versionOf } from './programs.ts'
import { type Component, cycloneDx, debianComponent, nodeComponent, npmComponent, spdx } from './sbom.ts'
import { packFolder } from './tree.ts'

export interface ImageOptions {
  /** The workspace, with all programs built. */
  readonly workspace: string
  /** Deleted first. Receives `oci/`, an OCI layout with a tag for each program, and `context/`, for a container engine. */
  readonly out: string
  /** Keeps Debian's packages between builds. */
  readonly cache: string
  /** The commit, for a label. */
  readonly revision: string
  /** The time of all files, seconds since 1970. */
  readonly epochSeconds: number
}

export interface BuiltImages {
  /** The digest of each image's manifest, by program. */
  readonly digests: Readonly<Record<string, string>>
  /** The folders in `context/` whose files an image has, lowest layer first, by program. */
  readonly layers: Readonly<Record<string, readonly string[]>>
}

const programs = Object.keys(PROGRAMS) as Program[]

/** Writes `context/` and `oci/` below `out`. */
export function buildImages(options: ImageOptions): BuiltImages {
  const { out, epochSeconds } = options
  rmSync(out, { recursive: true, force: true })
  const context = join(out, 'context')
  makeContext(options, context)
  const layout = new OciLayout(join(out, 'oci'))
  const layers = new Map<string, Layer>()
  const layerOf = (folder: string) =>
    layers.get(folder) ?? layout.addLayer(packFolder(join(context, folder), epochSeconds))
  const stages = programs.map((program) => stageOf(options, program))
  for (const folder of stages.flatMap(({ copies }) => copies)) layers.set(folder, layerOf(folder))
  const images = stages.map(({ name, config, copies }) => ({ name, config, layers: copies.map(layerOf) }))
  const platform = { architecture: architectureOf(process.arch), created: isoOf(epochSeconds) }
  return {
    digests: layout.finish(images, platform),
    layers: Object.fromEntries(stages.map(({ name, copies }) => [name, copies])),
  }
}

function makeContext({ workspace, cache, epochSeconds }: ImageOptions, context: string): void {
  const folderOf = (name: string) => {
    mkdirSync(join(context, name), { recursive: true })
    return join(context, name)
  }
  const rootFs = makeRootFs(folderOf('rootfs'), cache)
  makeNode(folderOf('node'))
  const node = createHash('sha256')
    .update(readFileSync(join(context, 'node/usr/bin/node')))
    .digest('hex')
  for (const program of programs) {
    makeProgram(workspace, program, folderOf(program))
    const parts = componentsOf(workspace, program, rootFs, node)
    writeBills(join(context, program), { ...subjectOf(workspace, program), created: isoOf(epochSeconds) }, parts)
  }
}

const subjectOf = (workspace: string, program: Program) => ({ name: program, version: versionOf(workspace, program) })

function componentsOf(workspace: string, program: Program, { packages, release }: RootFs, node: string): Component[] {
  return [
    ...npmPackagesOf(workspace, program).map(npmComponent),
    ...packages.map((entry) => debianComponent(entry, release)),
    nodeComponent(process.versions.node, node),
  ]
}

function writeBills(folder: string, subject: Parameters<typeof spdx>[0], parts: readonly Component[]): void {
  const target = join(folder, 'usr/share/sbom')
  mkdirSync(target, { recursive: true })
  writeFileSync(join(target, `${subject.name}.cdx.json`), cycloneDx(subject, parts))
  writeFileSync(join(target, `${subject.name}.spdx.json`), spdx(subject, parts))
}

function stageOf({ workspace, revision }: ImageOptions, program: Program): Stage {
  const file = readFileSync(join(workspace, 'deploy/image/Containerfile'), 'utf8')
  const args = { VERSION: versionOf(workspace, program), REVISION: revision }
  return parseContainerfile(file, args).get(program)!
}

/** The names of the OCI specification are those of Go. */
const architectureOf = (arch: string) => (arch === 'x64' ? 'amd64' : arch)

const isoOf = (epochSeconds: number) => new Date(epochSeconds * 1000).toISOString().replace('.000', '')
