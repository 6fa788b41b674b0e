/** Prints the end of a run after vitest's summary: skipped tests with reasons, then `N passed, N failed, N skipped`. */
import type { Reporter, TestModule } from 'vitest/node'
import { closingLines, tallyOf } from './tally.ts'

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    process.stdout.write(closingLines(modules.map(tallyOf), unhandledErrors.length))
  }
}
