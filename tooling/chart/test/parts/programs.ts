/** Reads rendered configurations as the programs would read them in their pods. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiConfig, refineApiConfig } from '@oriel/api'
import { proxyConfig, refineProxyConfig } from '@oriel/proxy'
import { loadConfig, sha256Hex } from '@oriel/runtime'
import { type TemporaryFolder, temporaryPki } from '@oriel/testkit'
import { find, type Manifest } from './helm.ts'

/** The values of Secrets, by the last part of the configuration key. */
const secretValues: Readonly<Record<string, string>> = {
  token: 'the token of the proxy',
  sha256: sha256Hex('the token of the proxy'),
  resume_key: Buffer.alloc(32, 1).toString('base64'),
  store: 'postgres://oriel:secret@db.example.org/oriel',
  password: 'secret',
}
const certificates: Readonly<Record<string, string>> = {
  ...{ ca: 'ca-cert.pem', cert: 'client-cert.pem', key: 'client-key.pem' },
  ...{ 'tls.crt': 'server-cert.pem', 'tls.key': 'server-key.pem', 'ca.crt': 'ca-cert.pem' },
}

/** Reads the proxy's file with the variables of its container. @throws ConfigError for a fault */
export const proxyOf = (manifests: readonly Manifest[], files: TemporaryFolder) =>
  loadConfig(proxyConfig, { ...input(manifests, 'proxy', files), refine: refineProxyConfig })

/** Reads the API's file with the variables of its container. @throws ConfigError for a fault */
export const apiOf = (manifests: readonly Manifest[], files: TemporaryFolder) =>
  loadConfig(ApiConfig, { ...input(manifests, 'api', files), refine: refineApiConfig })

function input(manifests: readonly Manifest[], name: 'api' | 'proxy', files: TemporaryFolder) {
  const toml = find(manifests, 'ConfigMap', `oriel-${name}`).data[`${name}.toml`] as string
  const [container] = find(manifests, 'Deployment', `oriel-${name}`).spec.template.spec.containers
  const env = Object.fromEntries(container.env.map((variable: EnvVar) => [variable.name, variable.value ?? '10.0.0.9']))
  return { toml: toml.replaceAll('/run/secrets', `${files.path}/run/secrets`), env, ignoreEnv: ['ORIEL_LOG_LEVEL'] }
}

interface EnvVar {
  readonly name: string
  readonly value?: string
}

/** Writes the files that the volumes of all pods have, with certificates that are valid. */
export async function mountedFiles(manifests: readonly Manifest[]): Promise<TemporaryFolder> {
  const pki = await temporaryPki({ names: ['consoles.example.org'] })
  const pods = manifests.filter(({ kind }) => kind === 'Deployment').map(({ spec }) => spec.template.spec)
  const names = pods.flatMap(({ volumes }) => volumes.flatMap(secretFiles))
  for (const folder of ['oriel', 'oriel-tls', 'oriel-api-ca'])
    await mkdir(join(pki.path, 'run/secrets', folder), { recursive: true })
  for (const name of names) await writeFile(join(pki.path, 'run/secrets', name), await contentOf(pki, name))
  return pki
}

interface Volume {
  readonly name: string
  readonly projected?: { readonly sources: { readonly secret: { readonly items: { readonly path: string }[] } }[] }
}

function secretFiles({ name, projected }: Volume): string[] {
  if (name === 'tls') return ['oriel-tls/tls.crt', 'oriel-tls/tls.key']
  if (name === 'api-ca') return ['oriel-api-ca/ca.crt']
  const items = projected?.sources.flatMap(({ secret }) => secret.items) ?? []
  return items.map(({ path }) => `oriel/${path}`)
}

async function contentOf(pki: TemporaryFolder, name: string): Promise<string> {
  const [folder, file] = name.split('/') as [string, string]
  const key = folder === 'oriel' ? file.split('.').at(-1)! : file
  const certificate = certificates[key]
  if (certificate !== undefined) return readFile(join(pki.path, certificate), 'utf8')
  if (secretValues[key] === undefined) throw new Error(`There is no value for the Secret of ${name}.`)
  return `${secretValues[key]}\n`
}
