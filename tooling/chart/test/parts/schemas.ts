/** Validates objects against the published schemas of their kinds. */
import { compilerErrors } from './compiler.ts'
import type { Manifest } from './helm.ts'

/** The package with the types and the OpenAPI schemas of each group that Kubernetes itself does not have. */
const packages: Readonly<Record<string, string>> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
}

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
export const unknownFields = (manifests: readonly Manifest[]): string =>
  compilerErrors(manifests.map(literalOf).join(''))

const literalOf = (manifest: Manifest, index: number) =>
  `export const m${index}: import('${moduleOf(manifest)}').I${manifest.kind} = ${JSON.stringify(manifest, undefined, 1)}\n`
