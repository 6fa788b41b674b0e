/**
 * Starts `program.js` on a Node that is new enough. On an older one, it starts the workspace's Node as a child process,
 * forwards signals to it, and exits with its exit code.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED_MAJOR = 24

const major = Number(process.versions.node.split('.')[0])
const brought = major >= NEEDED_MAJOR ? undefined : broughtNode(dirname(fileURLToPath(import.meta.url)))
if (major >= NEEDED_MAJOR) await startHere()
else if (brought !== undefined) handOver(brought)
else refuse()

async function startHere(): Promise<void> {
  // This is the child process: stop when the parent has ended.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel?.unref()
  // So that stack traces name the source files.
  process.setSourceMapsEnabled(true)
  const program = './program.js'
  await import(program)
}

function broughtNode(folder: string): string | undefined {
  const node = join(folder, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (existsSync(node)) return node
  return dirname(folder) === folder ? undefined : broughtNode(dirname(folder))
}

function handOver(node: string): void {
  const child = spawn(node, process.argv.slice(1), { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  child.on('exit', (code) => process.exit(code ?? 1))
}

function refuse(): void {
  process.stderr.write(
    `Oriel needs Node ${NEEDED_MAJOR} or newer; this is ${process.version}. ` +
      'Run it with a newer Node, or run `npm run setup` in its workspace, which brings one.\n',
  )
  process.exitCode = 1
}
