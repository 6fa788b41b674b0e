/** Runs the real Helm on the chart. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { helmPath } from '@oriel/testkit'
import { parseAllDocuments } from 'yaml'

/** A Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  }
  // biome-ignore lint/suspicious/noExplicitAny: the tests read any field of any kind, and other tests check the types.
  readonly [field: string]: any
}

export const chart = fileURLToPath(new URL('../../../../deploy/helm/oriel', import.meta.url))

/** The example values, by the file's name without `-values.yaml`. */
export const examples = readdirSync(`${chart}/ci`).map((file) => file.replace('-values.yaml', ''))

/** The arguments that select an example, or none for the default values. */
export const valuesOf = (example: string | undefined) =>
  example === undefined ? [] : ['--values', `${chart}/ci/${example}-values.yaml`]

/** What Helm printed, by its arguments: most tests look at the same few renderings. */
const rendered = new Map<string, Promise<string>>()

/** Renders the chart as release `oriel`. Rejects with Helm's message if it refuses the values. */
export async function render(...args: string[]): Promise<Manifest[]> {
  const key = args.join('\n')
  const output = rendered.get(key) ?? helm('template', 'oriel', chart, '--namespace', 'consoles', ...args)
  rendered.set(key, output)
  // Kubernetes reads YAML 1.1.
  return parseAllDocuments(await output, { version: '1.1' })
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

/** Renders the chart with `--set` for each of `settings`. */
export const renderWith = (...settings: string[]) => render(...settings.flatMap((setting) => ['--set', setting]))

/** Runs Helm and resolves with its standard output. */
export function helm(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(helmPath(), args, { timeout: 20_000, maxBuffer: 4 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr || stdout || error.message))
      else resolve(stdout)
    })
  })
}

/** Returns the one object of that kind and name. */
export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind && manifest.metadata.name === name)
  if (found.length !== 1) throw new Error(`The chart renders ${found.length} ${kind}s with the name ${name}.`)
  return found[0]!
}
