/** The end of a run, after vitest's own summary: what was skipped and why, then `N passed, N failed, N skipped`. */
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** Counts tests by their end; a file that could not be loaded counts as one failure. */
export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const ended = (state: string) => tests.filter((test) => test.result().state === state)
    const unloadable = modules.filter((module) => module.state() === 'failed' && !hasFailedTest(module)).length
    const failed = ended('failed').length + unloadable + unhandledErrors.length
    const skipped = ended('skipped')
    process.stdout.write(`\n${skippedLines(skipped)}`)
    process.stdout.write(`${ended('passed').length} passed, ${failed} failed, ${skipped.length} skipped\n`)
  }
}

const hasFailedTest = (module: TestModule) => [...module.children.allTests('failed')].length > 0

/** A line for each suite or test that says in its name why it is skipped, and one for the others of a file. */
function skippedLines(tests: readonly TestCase[]): string {
  const counts = Map.groupBy(tests, (test) => `${test.module.relativeModuleId}${reasonOf(test)}`)
  return [...counts].map(([where, { length }]) => `${length} skipped in ${where}\n`).join('')
}

function reasonOf(test: TestCase): string {
  for (let node: TestCase['parent'] | TestCase = test; node.type !== 'module'; node = node.parent) {
    if (node.name.includes('skipped without')) return `: ${node.name}`
  }
  return ''
}
