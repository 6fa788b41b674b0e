/**
 * `npm run dev`: runs the demo from source. A change restarts the program; a change to the pages rebuilds them first.
 * After a failed start or build it waits for the next change.
 */
import { spawn, spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const buildPages = ['packages/elements/build.ts', '--link-maps']
const program = ['--conditions=@oriel/source', 'apps/oriel/src/main.ts', '--demo', ...process.argv.slice(2)]

spawnSync(process.execPath, buildPages, { stdio: 'inherit' })
const watchers = [
  watch(['packages/{elements,sdk,contract}/src'], buildPages),
  watch(['packages/{api,contract,proxy,runtime,sdk}/src', 'apps/oriel/src', 'packages/elements/dist'], program),
]
// Ignored, because the terminal also sends SIGINT to the watchers, whose end ends this process.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => watchers.forEach((watcher) => void watcher.kill()))

/** Runs Node with `args`, and again after each change in the folders. */
function watch(folders: readonly string[], args: readonly string[]) {
  const paths = globSync([...folders]).map((folder) => `--watch-path=${folder}`)
  return spawn(process.execPath, ['--watch', '--watch-preserve-output', ...paths, ...args], { stdio: 'inherit' })
}
