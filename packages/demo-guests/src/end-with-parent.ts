/** Ends a child process although this one was killed. */
import { type ChildProcess, spawn } from 'node:child_process'

/** `read` fails at the end of the pipe, which the kernel closes with the process that holds its other end. */
const SCRIPT = 'trap "" INT TERM HUP; read -r ended || kill -KILL "$1"'

/**
 * Starts a shell that kills `child` when this process ends in any way, SIGKILL included. The shell ends with `child` too.
 * Where there is no `sh`, as on Windows, `child` outlives a SIGKILL of this process.
 */
export function endWithParent(child: ChildProcess): void {
  if (child.pid === undefined) return
  const shell = spawn('sh', ['-c', SCRIPT, 'sh', String(child.pid)], { stdio: ['pipe', 'ignore', 'ignore'] })
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  // End the shell with the child: another process may get the child's number later.
  child.once('exit', () => shell.stdin.end('ended\n'))
  shell.unref()
}
