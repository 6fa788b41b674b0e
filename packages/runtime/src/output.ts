/**
 * Writes text to stdout and stderr for programs that must survive a full disk, a closed pipe and a stalled reader. A write
 * neither blocks nor throws: text that cannot be written at once waits in a bounded buffer, and is dropped and counted if
 * the buffer is full.
 */
import { closeSync, constants, fstatSync, openSync, writeSync, write as writeWithCallback } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { promisify } from 'node:util'

/** Writes some of `bytes` and returns how many: at once if that cannot block, else on a thread of the pool. */
export type Put = (bytes: Buffer) => number | Promise<number>

export interface OutputOptions {
  /** Bytes that may wait. Default: 1 MiB, some 2,000 log lines. */
  readonly maxPendingBytes?: number
  /** Largest write. Default: 64 KiB. */
  readonly maxWriteBytes?: number
}

const MAX_PENDING_BYTES = 1024 * 1024
const MAX_WRITE_BYTES = 64 * 1024
/** Writes to a pipe up to this size are atomic, so lines of several workers are not mixed (POSIX: PIPE_BUF). */
const PIPE_WRITE_BYTES = 4096
/** A slow reader usually catches up soon; a full disk stays full for a while. */
const BUSY_RETRY_MS = 20
const FAILED_RETRY_MS = 250

export class Output {
  readonly #put: Put
  readonly #maxPendingBytes: number
  readonly #maxWriteBytes: number
  /** Waiting texts in order; `#offset` bytes of the first one are written. */
  #pending: Buffer[] = []
  #offset = 0
  #pendingBytes = 0
  #draining = false
  #dropping = false
  #lostTotal = 0
  #lostSinceReport = 0
  /** Resolves `flush`. */
  #settled = Promise.withResolvers<void>()
  /** Called with the number of texts that were dropped, once there is room again. */
  onRecovered: ((lost: number) => void) | undefined

  constructor(put: Put, { maxPendingBytes = MAX_PENDING_BYTES, maxWriteBytes = MAX_WRITE_BYTES }: OutputOptions = {}) {
    this.#put = put
    this.#maxPendingBytes = maxPendingBytes
    this.#maxWriteBytes = maxWriteBytes
  }

  /** Texts that were dropped because the buffer was full. */
  get lost(): number {
    return this.#lostTotal
  }

  /** Bytes waiting to be written. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** Writes, buffers or drops `text` as a whole. A log line is one text. */
  write(text: string): void {
    if (text === '') return
    const bytes = Buffer.from(text)
    if (!this.#hasRoom(bytes.length)) {
      this.#dropping = true
      this.#lostTotal += 1
      this.#lostSinceReport += 1
      return
    }
    this.#reportLost()
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
    if (!this.#draining) void this.#drain()
  }

  /** Waits until everything is written, for at most `deadlineMs`; returns at once while writes fail. */
  async flush(deadlineMs: number): Promise<void> {
    if (!this.#draining) return
    const late = new AbortController()
    await Promise.race([this.#settled.promise, delay(deadlineMs, undefined, { signal: late.signal }).catch(() => {})])
    late.abort()
  }

  /** After a drop, accepts texts only once half of the buffer is free; otherwise every second line would be lost. */
  #hasRoom(bytes: number): boolean {
    const limit = this.#dropping ? this.#maxPendingBytes / 2 : this.#maxPendingBytes
    return this.#pendingBytes === 0 || this.#pendingBytes + bytes <= limit
  }

  async #drain(): Promise<void> {
    this.#draining = true
    while (this.#pendingBytes > 0) {
      try {
        const written = this.#put(this.#batch())
        this.#consume(typeof written === 'number' ? written : await written)
      } catch (error) {
        await this.#pause(error as NodeJS.ErrnoException)
      }
      if (this.#pendingBytes === 0) this.#reportLost()
    }
    this.#draining = false
    this.#settle()
  }

  /** The next texts that fit into one write, or a part of the first when that alone does not. */
  #batch(): Buffer {
    const first = this.#pending[0]!.subarray(this.#offset)
    if (first.length >= this.#maxWriteBytes || this.#pending.length === 1) return first
    let length = first.length
    let count = 1
    while (count < this.#pending.length && length + this.#pending[count]!.length <= this.#maxWriteBytes) {
      length += this.#pending[count]!.length
      count += 1
    }
    return Buffer.concat([first, ...this.#pending.slice(1, count)], length)
  }

  #consume(written: number): void {
    this.#pendingBytes -= written
    let left = written + this.#offset
    let whole = 0
    while (whole < this.#pending.length && left >= this.#pending[whole]!.length) {
      left -= this.#pending[whole]!.length
      whole += 1
    }
    this.#pending.splice(0, whole)
    this.#offset = left
  }

  /** Unreferenced timers, so that a log that takes nothing does not keep a program alive. */
  async #pause({ code }: NodeJS.ErrnoException): Promise<void> {
    const busy = code === 'EAGAIN'
    if (!busy) this.#settle()
    await delay(busy ? BUSY_RETRY_MS : FAILED_RETRY_MS, undefined, { ref: false })
  }

  #settle(): void {
    this.#settled.resolve()
    this.#settled = Promise.withResolvers()
  }

  #reportLost(): void {
    const lost = this.#lostSinceReport
    if (lost === 0) return
    this.#lostSinceReport = 0
    this.#dropping = false
    this.onRecovered?.(lost)
  }
}

// stdout and stderr

const outputs = new Map<number, Output>()

/** The process's stdout. */
export const standardOutput = (): Output => outputOf(1)

/** The process's stderr. */
export const standardError = (): Output => outputOf(2)

/** The number of texts for stdout and stderr that were dropped so far. */
export const lostTexts = (): number => [...outputs.values()].reduce((sum, { lost }) => sum + lost, 0)

/** Waits until stdout and stderr are flushed, for at most `deadlineMs`. Does not wait for a stream whose writes fail. */
export async function flushOutputs(deadlineMs: number): Promise<void> {
  await Promise.all([...outputs.values()].map((output) => output.flush(deadlineMs)))
}

function outputOf(fd: 1 | 2): Output {
  const output = outputs.get(fd) ?? openOutput(fd)
  outputs.set(fd, output)
  return output
}

const writeInPool = promisify(writeWithCallback)

/**
 * Pipes, terminals and sockets are written from this thread without blocking, so that the lines of several processes stay in
 * order. Descriptors without a non-blocking mode, such as files, are written on a thread of the pool. The pool cannot write
 * all of them: `process.exit` waits for a thread that is blocked by a reader.
 */
function openOutput(fd: 1 | 2): Output {
  const kind = kindOf(fd)
  const own = kind === 'pipe' || kind === 'terminal' ? reopened(fd) : undefined
  if (own !== undefined) return new Output((bytes) => writeSync(own, bytes), { maxWriteBytes: PIPE_WRITE_BYTES })
  return kind === 'pipe' || kind === 'socket' ? new Output(sharedPut(fd)) : new Output(inPool(fd))
}

const inPool =
  (fd: number): Put =>
  async (bytes) =>
    (await writeInPool(fd, bytes)).bytesWritten

/**
 * A socket, such as the journal's, cannot be reopened. Node makes it non-blocking when it creates a stream for it, but any
 * process that spawns a child with it makes it blocking again for all. So once the reader is behind, the pool writes.
 */
function sharedPut(fd: 1 | 2): Put {
  const stream = fd === 1 ? process.stdout : process.stderr
  // Not for writing: the stream reports when the reader closes.
  stream.on('error', () => {})
  const putInPool = inPool(fd)
  let isBehind = false
  return (bytes) => {
    if (isBehind) {
      return Promise.resolve(putInPool(bytes)).then((written) => {
        isBehind = false
        return written
      })
    }
    try {
      return writeSync(fd, bytes)
    } catch (error) {
      isBehind = true
      throw error
    }
  }
}

/**
 * Reopens the same pipe or terminal in non-blocking mode; returns `undefined` if that is impossible. The mode of `fd` itself
 * is shared with every process that inherited it, such as a shell, and libuv sets it to blocking in each spawned child.
 */
function reopened(fd: number): number | undefined {
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    if (fstatSync(own).ino === fstatSync(fd).ino) return own
    closeSync(own)
  } catch {
    // No /proc, or the output was opened by another user.
  }
  return undefined
}

function kindOf(fd: number): 'pipe' | 'terminal' | 'socket' | 'other' {
  if (isatty(fd)) return 'terminal'
  try {
    const stats = fstatSync(fd)
    return stats.isFIFO() ? 'pipe' : stats.isSocket() ? 'socket' : 'other'
  } catch {
    return 'other'
  }
}
