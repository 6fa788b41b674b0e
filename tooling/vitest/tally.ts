/** Counts the results of a run's tests, and formats them. */
import type { TestCase, TestModule } from 'vitest/node'

/** The results of one file's tests. A file that cannot be loaded counts as one failure. */
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

/** Returns the skipped tests with reasons, then `notes`, then `N passed, N failed, N skipped`. */
export function closingLines(tallies: readonly Tally[], moreFailures: number, notes: readonly string[] = []): string {
  const skipped = tallies.flatMap((tally) => tally.skipped)
  const passed = sum(tallies.map((tally) => tally.passed))
  const failed = sum(tallies.map((tally) => tally.failed)) + moreFailures
  const lines = [...skippedLines(skipped), ...notes, `${passed} passed, ${failed} failed, ${skipped.length} skipped`]
  return `\n${lines.join('\n')}\n`
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

/** Returns a line for each skipped suite or test with a reason in its name, and one line for the others of a file. */
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
