/** Runs vitest in this process, and counts the results of each file. */
import { relative } from 'node:path'
import type { SerializedError } from 'vitest'
import { type Reporter, startVitest, type TestModule } from 'vitest/node'
import { type Tally, tallyOf } from './tally.ts'

export interface ProjectRun {
  /** By the file's path relative to the root. */
  readonly tallies: ReadonlyMap<string, Tally>
  /** The number of failures outside of files: errors that vitest cannot attribute, or a run without tests. */
  readonly elsewhere: number
}

/** Runs all files of the projects that match `project`, or only `file`. */
export async function runProject(project: string, file?: string): Promise<ProjectRun> {
  const collector = new Collector()
  process.exitCode = 0
  await startVitest('test', file ? [file] : [], { run: true, project, reporters: ['default', collector] })
  const { tallies, elsewhere } = collector
  const isExplained = elsewhere > 0 || failedFiles(collector).length > 0
  return { tallies, elsewhere: process.exitCode === 0 || isExplained ? elsewhere : 1 }
}

export function failedFiles({ tallies }: ProjectRun): string[] {
  return [...tallies].filter(([, { failed }]) => failed > 0).map(([file]) => file)
}

class Collector implements Reporter, ProjectRun {
  readonly tallies = new Map<string, Tally>()
  elsewhere = 0

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    for (const module of modules) this.tallies.set(pathOf(module.moduleId), tallyOf(module))
    for (const error of unhandledErrors as readonly { VITEST_TEST_PATH?: string }[])
      this.addFailure(error.VITEST_TEST_PATH)
  }

  private addFailure(path: string | undefined): void {
    const file = path && pathOf(path)
    const tally = file && this.tallies.get(file)
    if (tally) this.tallies.set(file, { ...tally, failed: tally.failed + 1 })
    else this.elsewhere += 1
  }
}

const pathOf = (file: string) => relative(process.cwd(), file)
