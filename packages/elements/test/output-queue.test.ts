import { describe, expect, it } from 'vitest'
import { OutputQueue } from '../src/serial/output-queue.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

function allOf(queue: OutputQueue): string {
  const parts: Uint8Array[] = []
  for (let part = queue.shift(); part !== undefined; part = queue.shift()) parts.push(part)
  return new TextDecoder().decode(Buffer.concat(parts))
}

describe('OutputQueue', () => {
  it('returns the output in order while it is below the limit', () => {
    const queue = new OutputQueue(10)
    for (const text of ['one\n', '', 'two\n']) queue.push(bytesOf(text))
    expect(allOf(queue)).toBe('one\ntwo\n')
    expect(queue.shift()).toBeUndefined()
  })

  it('leaves the oldest output out up to the end of a line, and says how much', () => {
    const queue = new OutputQueue(16)
    for (const text of ['first\nsec', 'ond\nthi', 'rd\nfourth\n']) queue.push(bytesOf(text))
    const line = '\x18\x1b[0m\r\n[oriel: 13 bytes of output were left out by this page]\r\n'
    expect(allOf(queue)).toBe(`${line}third\nfourth\n`)
  })

  it('counts all output that was left out since the last line about it', () => {
    const queue = new OutputQueue(8)
    for (let i = 0; i < 10; i += 1) queue.push(bytesOf(`line ${i}\n`))
    expect(allOf(queue)).toMatch(/\[oriel: 63 bytes of output were left out by this page\]\r\nline 9\n$/)
  })

  it('keeps the newest bytes of a line that is longer than the limit', () => {
    const queue = new OutputQueue(4)
    queue.push(bytesOf('abcdefgh'))
    expect(allOf(queue)).toMatch(/\[oriel: 4 bytes [^\r]*\r\nefgh$/)
  })

  it('forgets everything when it is cleared', () => {
    const queue = new OutputQueue(4)
    queue.push(bytesOf('abcdefgh'))
    queue.clear()
    expect(queue.shift()).toBeUndefined()
  })
})
