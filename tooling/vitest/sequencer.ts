/** The order in which files of tests start. */
import { relative, resolve } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const root = resolve(import.meta.dirname, '../..')

/** Files that take more than a minute though they are small, the longest first. */
export const long = [
  'packages/proxy/test/security-heap.test.ts',
  'tooling/bench/test/bench.test.ts',
  'packages/api/test/upgrades.test.ts',
  'tests/e2e/stranger.test.ts',
  'tests/e2e/openstack-clients.test.ts',
  'tests/e2e/keystone.test.ts',
  'tests/e2e/first-start.test.ts',
  'tests/e2e/systemd.test.ts',
  'tests/e2e/store-load.test.ts',
  'tests/e2e/typing.test.ts',
]

/**
 * Vitest starts large files first where it has no times of an earlier run, as on a clean checkout. A small file that takes long would
 * then start last, and all processors but one would wait for it.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const byProject = Map.groupBy(await super.sort(files), ({ project }) => project)
    return [...byProject.values()].flatMap((group) => group.toSorted((a, b) => rank(a) - rank(b)))
  }
}

function rank({ moduleId }: TestSpecification): number {
  const place = long.indexOf(relative(root, moduleId))
  return place < 0 ? long.length : place
}
