/** Validates objects against the published schemas of their kinds. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Manifest } from './helm.ts'

/** The package with the types and the OpenAPI schemas of each group that Kubernetes itself does not have. */
const packages: Readonly<Record<string, string>> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
}

const here = dirname(fileURLToPath(import.meta.url))

function moduleOf({ apiVersion }: Manifest): string {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0]! : ''
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}`
}

/** Returns the violations of a manifest's schema: types, enumerations, formats and required fields. */
export async function schemaFaults(manifest: Manifest): Promise<string[]> {
  const models = await import(moduleOf(manifest))
  try {
    new models[manifest.kind](manifest).validate()
    return []
  } catch (error) {
    return [`${manifest.kind} ${manifest.metadata.name}: ${(error as Error).message}`]
  }
}

/**
 * Returns the compiler's errors about manifests that are written as object literals of their types. TypeScript refuses unknown
 * fields in literals, which the schemas allow.
 */
export function unknownFields(manifests: readonly Manifest[]): string {
  // Below node_modules, where no tool finds the file and the compiler finds the packages.
  const folder = mkdtempSync(join(here, '../../node_modules/.manifests-'))
  try {
    writeFileSync(join(folder, 'manifests.ts'), manifests.map(literalOf).join(''))
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const options = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'esnext',
      '--moduleResolution',
      'bundler',
    ]
    const { stdout, stderr } = spawnSync(process.execPath, [compiler, ...options, '--types', '', 'manifests.ts'], {
      ...{ cwd: folder, encoding: 'utf8', timeout: 60_000 },
    })
    return stdout + stderr
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const literalOf = (manifest: Manifest, index: number) =>
  `export const m${index}: import('${moduleOf(manifest)}').I${manifest.kind} = ${JSON.stringify(manifest, undefined, 1)}\n`
