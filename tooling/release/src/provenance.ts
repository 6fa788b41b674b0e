/**
 * What a build was made of, as an in-toto statement with SLSA's predicate, unsigned: the release workflow signs its own.
 * @see https://slsa.dev/spec/v1.0/provenance
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ProvenanceInput {
  /** File names with their SHA-256 digests. */
  readonly subjects: readonly (readonly [file: string, digest: string])[]
  /** The checkout that was built. */
  readonly workspace: string
  /** The commit from which the versions were raised, or that already has them. */
  readonly gitCommit: string
  readonly epochSeconds: number
}

export function provenance({ subjects, workspace, gitCommit, epochSeconds }: ProvenanceInput): string {
  const { repository } = JSON.parse(readFileSync(join(workspace, 'packages/sdk/package.json'), 'utf8'))
  const lock = createHash('sha256')
    .update(readFileSync(join(workspace, 'pnpm-lock.yaml')))
    .digest('hex')
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map(([name, sha256]) => ({ name, digest: { sha256 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: `${repository.url.replace(/^git\+|\.git$/g, '')}/tree/main/tooling/release`,
        externalParameters: { command: 'npm run release:dry' },
        internalParameters: { node: process.versions.node, architecture: process.arch },
        resolvedDependencies: [
          { uri: repository.url, digest: { gitCommit } },
          { uri: 'pnpm-lock.yaml', digest: { sha256: lock } },
        ],
      },
      runDetails: {
        builder: { id: 'local' },
        metadata: { startedOn: new Date(epochSeconds * 1000).toISOString() },
      },
    },
  }
  return `${JSON.stringify(statement, null, 1)}\n`
}
