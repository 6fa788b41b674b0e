/** How the tests of a run ended, and the lines that say so. */
import type { TestCase, TestModule } from 'vitest/node'

/** How the tests of one file ended. A file that could not be loaded counts as one failure. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly TestCase[]
}

export function tallyOf(module: TestModule): Tally {
  const tests = [...module.children.allTests()]
  const ended = (state: string) => tests.filter((test) => test.result().state === state)
  const failed = ended('failed').length
  return {
    passed: ended('passed').length,
    failed: failed === 0 && module.state() === 'failed' ? 1 : failed,
    skipped: ended('skipped'),
  }
}

/** What was skipped and why, then `notes`, then `N passed, N failed, N skipped`. */
export function closingLines(tallies: readonly Tally[], moreFailures: number, notes: readonly string[] = []): string {
  const skipped = tallies.flatMap((tally) => tally.skipped)
  const passed = sum(tallies.map((tally) => tally.passed))
  const failed = sum(tallies.map((tally) => tally.failed)) + moreFailures
  const lines = [...skippedLines(skipped), ...notes, `${passed} passed, ${failed} failed, ${skipped.length} skipped`]
  return `\n${lines.join('\n')}\n`
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

/** A line for each suite or test that says in its name why it is skipped, and one for the others of a file. */
function skippedLines(tests: readonly TestCase[]): string[] {
  const counts = Map.groupBy(tests, (test) => `${test.module.relativeModuleId}${reasonOf(test)}`)
  return [...counts].map(([where, { length }]) => `${length} skipped in ${where}`)
}

function reasonOf(test: TestCase): string {
  for (let node: TestCase['parent'] | TestCase = test; node.type !== 'module'; node = node.parent) {
    if (node.name.includes('skipped without')) return `: ${node.name}`
  }
  return ''
}
