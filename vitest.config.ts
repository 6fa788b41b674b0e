import { availableParallelism } from 'node:os'
import { ClosingLine } from '@oriel/vitest'
import { LongestFirst } from '@oriel/vitest/sequencer'
import { defineConfig } from 'vitest/config'

/** Files of tests/e2e whose guests are counted on to read each key in time. Two of them leave a core idle most of the time. */
const alone = ['tests/e2e/typing*.test.ts']

/** Packages whose tests leave nothing behind: their files share modules, which nearly halves the CPU time. */
const together = ['contract', 'sdk', 'runtime', 'console', 'cli', 'elements'].map(
  (name) => `packages/${name}/test/**/*.test.ts`,
)

const source = { conditions: ['@oriel/source', 'module', 'node', 'development|production'] }

const excluded = ['**/node_modules/**', '**/dist/**']
const e2e = { testTimeout: 120_000, hookTimeout: 120_000 }

/** One run for the whole workspace: one pool, one summary, one closing line. */
export default defineConfig({
  resolve: source,
  ssr: { resolve: source },
  test: {
    reporters: ['default', new ClosingLine()],
    environment: 'node',
    sequence: { sequencer: LongestFirst },
    // Vitest would leave one core free, and on two cores run one file after another. Most files wait for programs and deadlines.
    maxWorkers: availableParallelism(),
    // These end what hangs and measure nothing: they leave room for a machine that does other things as well.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    projects: [
      project('unit', ['packages/*/test/**/*.test.ts', 'tooling/*/test/**/*.test.ts'], {
        exclude: [...excluded, ...together],
      }),
      project('unit-together', together, { isolate: false }),
      project('conformance', ['tests/conformance/**/*.test.ts']),
      project('e2e', ['tests/e2e/**/*.test.ts'], {
        ...e2e,
        exclude: [...excluded, ...alone],
        // They wait for programs and deadlines about half of their time. More at once would make browsers and guests too slow.
        maxWorkers: 2,
        sequence: { groupOrder: 1 },
      }),
      project('e2e-alone', alone, { ...e2e, maxWorkers: 2, sequence: { groupOrder: 2 } }),
    ],
  },
})

function project(name: string, include: string[], test: object = {}) {
  return { extends: true as const, test: { name, include, exclude: excluded, ...test } }
}
