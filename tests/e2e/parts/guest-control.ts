/** Runs lines of shell script in a guest, over a serial port. */
import { on } from 'node:events'
import { createConnection } from 'node:net'
import { type WaitOptions, within } from '@oriel/testkit'

export interface GuestControl {
  /**
   * Runs a line of shell script in the guest, apart from its terminals, and resolves with its stdout and stderr.
   * Waits for the guest to start: it may be called at once, and one after the other.
   * @throws Error if its exit status is not zero, or at the deadline: 60 s by default.
   */
  run(line: string, options?: WaitOptions): Promise<string>
}

/** Longer than a start under TCG, 10 s, on a busy machine. */
const runTimeoutMs = 60_000

/**
 * The guest's side: a shell whose stdin and stdout are the port, in raw mode. It ends each answer, and its greeting, with the
 * byte 4, a status and a line end.
 */
export const CONTROL_LOOP = `printf '\\0040\\n'; while IFS= read -r line; do (eval "$line") 2>&1 </dev/null; printf '\\004%d\\n' $?; done`

/** Connects to the Unix socket `path`, QEMU's side of the port on which the guest runs {@link CONTROL_LOOP}. */
export async function openControl(path: string, scope: AsyncDisposableStack): Promise<GuestControl> {
  const socket = createConnection(path)
  scope.defer(() => void socket.destroy())
  const chunks = on(socket.setEncoding('utf8'), 'data', { close: ['close'] })
  // What is sent before the guest reads is lost: the kernel clears the port when it finds it.
  let turn: Promise<unknown> = answer(chunks)
  turn.catch(() => {})
  const run: GuestControl['run'] = (line, { timeoutMs = runTimeoutMs } = {}) => {
    if (line.includes('\n')) throw new TypeError(`Not one line: ${line}`)
    const output = turn.then(() => {
      socket.write(`${line}\n`)
      return answer(chunks)
    })
    turn = output.catch(() => {})
    return within(output, timeoutMs, () => `The guest has not run: ${line}`)
  }
  return { run }
}

/** Reads one answer. */
async function answer(chunks: AsyncIterator<string[]>): Promise<string> {
  let received = ''
  for (;;) {
    const { value, done } = await chunks.next()
    if (done) throw new Error(`The guest ended: ${received}`)
    received += value[0]
    const [output, status] = received.split('\x04')
    if (!status?.endsWith('\n')) continue
    if (status === '0\n') return output!
    throw new Error(`The command ended with status ${status.trim()}: ${output}`)
  }
}
