/** Compiles generated source texts, to compare data with the types of a package. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const OPTIONS = [
  ...['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--allowImportingTsExtensions'],
  ...['--module', 'esnext', '--moduleResolution', 'bundler', '--types', ''],
]
const TIMEOUT_MS = 60_000

/** Returns the compiler's errors about `source`, or an empty text. Its imports resolve from this folder. */
export function compilerErrors(source: string): string {
  // Below node_modules, where no tool finds the file and the compiler finds the packages.
  const folder = mkdtempSync(join(here, '../../node_modules/.compiled-'))
  try {
    writeFileSync(join(folder, 'source.ts'), source)
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const { stdout, stderr } = spawnSync(process.execPath, [compiler, ...OPTIONS, 'source.ts'], {
      ...{ cwd: folder, encoding: 'utf8', timeout: TIMEOUT_MS },
    })
    return stdout + stderr
  } finally {
    rmSync(folder, { recursive: true })
  }
}
