import { describe, expect, test } from 'vitest'
import { createLogger, Output } from '../src/index.ts'

/** Where an output writes to in these tests: takes bytes, or fails with `code`, or takes only `most` at once. */
class Sink {
  readonly writes: string[] = []
  code: string | undefined
  most = Number.POSITIVE_INFINITY
  readonly put = (bytes: Buffer): number => {
    if (this.code !== undefined) throw Object.assign(new Error(this.code), { code: this.code })
    const taken = Math.min(bytes.length, this.most)
    this.writes.push(bytes.toString('utf8', 0, taken))
    return taken
  }
  get text(): string {
    return this.writes.join('')
  }
}

describe('an output', () => {
  test('writes at once if its descriptor accepts the bytes', () => {
    const sink = new Sink()
    new Output(sink.put).write('a\n')
    expect(sink.writes).toEqual(['a\n'])
  })

  test('continues after a partial write', () => {
    const sink = new Sink()
    sink.most = 3
    const output = new Output(sink.put)
    output.write('12345\n')
    output.write('678\n')
    expect(sink.text).toBe('12345\n678\n')
    expect(output.pendingBytes).toBe(0)
  })

  test('writes on a thread of the pool in order, several texts at a time', async () => {
    const writes: string[] = []
    const output = new Output(async (bytes) => writes.push(bytes.toString()) && bytes.length, { maxWriteBytes: 4 })
    for (const text of ['1\n', '2\n', '3\n', '4\n']) output.write(text)
    await output.flush(60_000)
    expect(writes).toEqual(['1\n', '2\n3\n', '4\n'])
  })

  test.each(['EAGAIN', 'ENOSPC', 'EPIPE', 'EIO'])('keeps texts after %s and writes them once it can', async (code) => {
    const sink = new Sink()
    sink.code = code
    const output = new Output(sink.put)
    output.write('a\n')
    output.write('b\n')
    sink.code = undefined
    await expect.poll(() => sink.text).toBe('a\nb\n')
    expect(output.lost).toBe(0)
  })

  test('drops and counts texts while the buffer is full, and reports their number before the next text', async () => {
    const sink = new Sink()
    sink.code = 'ENOSPC'
    const output = new Output(sink.put, { maxPendingBytes: 20 })
    output.onRecovered = (lost) => output.write(`lost ${lost}\n`)
    for (let i = 0; i < 12; i += 1) output.write(`line${i}\n`)
    expect([output.lost, output.pendingBytes]).toEqual([9, 18])
    sink.code = undefined
    await expect.poll(() => sink.text).toBe('line0\nline1\nline2\nlost 9\n')
    output.write('next\n')
    expect(sink.text).toMatch(/lost 9\nnext\n$/)
  })

  test('is flushed once all is written', async () => {
    const sink = new Sink()
    sink.code = 'EAGAIN'
    const output = new Output(sink.put)
    output.write('a\n')
    const flushed = output.flush(60_000)
    sink.code = undefined
    await flushed
    expect(sink.text).toBe('a\n')
  })

  test.each(['ENOSPC', 'EPIPE'])('does not wait for a flush after %s', async (code) => {
    const sink = new Sink()
    sink.code = code
    const output = new Output(sink.put)
    output.write('a\n')
    await output.flush(1_000_000)
    expect(sink.text).toBe('')
  })

  test('gives a flush up at its deadline', async () => {
    const sink = new Sink()
    sink.code = 'EAGAIN'
    const output = new Output(sink.put)
    output.write('a\n')
    await output.flush(1)
    expect(sink.text).toBe('')
  })
})

test('a logger whose output was full says in one line how many lines were lost', async () => {
  const sink = new Sink()
  sink.code = 'ENOSPC'
  const output = new Output(sink.put, { maxPendingBytes: 500 })
  const log = createLogger({ name: 'oriel-test', level: 'info', output })
  for (let i = 0; i < 100; i += 1) log.info({ i }, 'a line')
  const { lost } = output
  expect(lost).toBeGreaterThan(90)
  sink.code = undefined
  await expect.poll(() => sink.text).toMatch(/lost/)
  const lines = sink.text.trimEnd().split('\n')
  expect(lines).toHaveLength(100 - lost + 1)
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    level: 'warn',
    lost,
    msg: expect.stringMatching(/^log lines were lost/),
  })
})

test('a log call survives an error whose fields cannot be read', () => {
  const sink = new Sink()
  const log = createLogger({ name: 'oriel-test', level: 'info', output: new Output(sink.put) })
  const hostile = {
    get message(): string {
      throw new Error('no')
    },
  }
  log.error({ err: hostile }, 'it failed')
  expect(JSON.parse(sink.text)).toMatchObject({
    msg: 'it failed',
    err: { message: 'an error whose fields cannot be read' },
  })
})
