/** A real guest: QEMU without a disk, whose firmware shows its menu on the serial port. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { endWithParent } from './end-with-parent.ts'

export interface QemuGuestOptions {
  /** Without a comma, at which QEMU splits its arguments. */
  readonly name: string
  readonly uuid: string
  /** Default: `qemu-system-x86_64`. */
  readonly program?: string
  /** Deadline until QEMU answers on its monitor. Default: 30 s. */
  readonly timeoutMs?: number
}

/** Ports of 127.0.0.1, chosen by QEMU. */
export interface QemuGuest extends AsyncDisposable {
  readonly host: string
  readonly vncPort: number
  readonly serialPort: number
}

const host = '127.0.0.1'
const stopTimeoutMs = 10_000
const queries = ['qmp_capabilities', 'query-vnc', 'query-chardev']

/**
 * Starts a guest, which ends with this process. Returns `undefined` if QEMU is not installed.
 *
 * @throws Error with QEMU's stderr when QEMU does not start or misses the deadline.
 */
export async function startQemuGuest(options: QemuGuestOptions): Promise<QemuGuest | undefined> {
  const qemu = spawn(options.program ?? 'qemu-system-x86_64', commandLine(options))
  // If QEMU has ended, writing to its monitor fails with EPIPE; its stderr has the reason.
  qemu.stdin.on('error', () => {})
  const stderr = lastOutput(qemu)
  const closed = new Promise<void>((resolve) => qemu.once('close', () => resolve()))
  if (!(await isSpawned(qemu))) return undefined
  endWithParent(qemu)
  const deadline = setTimeout(() => qemu.kill('SIGKILL'), options.timeoutMs ?? 30_000)
  try {
    return { host, ...(await queryPorts(qemu)), [Symbol.asyncDispose]: () => stop(qemu, closed) }
  } catch (cause) {
    await stop(qemu, closed)
    throw new Error(`QEMU did not start (${qemu.signalCode ?? qemu.exitCode}): ${stderr()}`, { cause })
  } finally {
    clearTimeout(deadline)
  }
}

const commandLine = ({ name, uuid }: QemuGuestOptions) => [
  ...['-nodefaults', '-no-user-config', '-display', 'none', '-m', '64', '-vga', 'std'],
  ...['-machine', 'pc,accel=tcg,graphics=off'],
  // Firmware that finds nothing to boot begins again.
  ...['-boot', 'menu=on,splash-time=60000,reboot-timeout=10000'],
  ...['-name', name, '-uuid', uuid, '-qmp', 'stdio', '-vnc', `${host}:0,to=9999`],
  ...['-chardev', `socket,id=serial0,host=${host},port=0,server=on,wait=off`, '-serial', 'chardev:serial0'],
]

function lastOutput({ stderr }: ChildProcessWithoutNullStreams): () => string {
  let text = ''
  stderr.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-4096)
  })
  return () => text
}

async function isSpawned(qemu: ChildProcessWithoutNullStreams): Promise<boolean> {
  try {
    await once(qemu, 'spawn')
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw cause
  }
}

async function queryPorts(qemu: ChildProcessWithoutNullStreams): Promise<Pick<QemuGuest, 'vncPort' | 'serialPort'>> {
  const { 'query-vnc': vnc, 'query-chardev': devices } = await answers(qemu)
  const serial = (devices as { label: string; filename: string }[]).find(({ label }) => label === 'serial0')
  const serialPort = /:(\d+),/.exec(serial?.filename ?? '')?.[1]
  if (serialPort === undefined) throw new Error(`The serial device has no port: ${JSON.stringify(devices)}`)
  return { vncPort: Number((vnc as { service: string }).service), serialPort: Number(serialPort) }
}

/** Sends the queries to the monitor and returns the results by command. */
async function answers({ stdin, stdout }: ChildProcessWithoutNullStreams): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {}
  const lines = createInterface({ input: stdout })
  try {
    for (const execute of queries) stdin.write(`${JSON.stringify({ execute, id: execute })}\n`)
    for await (const line of lines) {
      const { id, error, return: result } = JSON.parse(line)
      if (error) throw new Error(`${id}: ${error.desc}`)
      if (id) results[id] = result
      if (id === queries.at(-1)) return results
    }
    throw new Error('QEMU closed its monitor')
  } finally {
    // Keep draining: QEMU reports events for as long as it runs, and the process's `close` waits for the end of stdout.
    stdout.resume()
  }
}

async function stop(qemu: ChildProcessWithoutNullStreams, closed: Promise<void>): Promise<void> {
  qemu.kill('SIGTERM')
  const deadline = setTimeout(() => qemu.kill('SIGKILL'), stopTimeoutMs)
  await closed
  clearTimeout(deadline)
}
