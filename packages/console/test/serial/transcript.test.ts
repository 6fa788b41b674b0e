import { describe, expect, it, vi } from 'vitest'
import { ExpectTimeout } from '../../src/errors.ts'
import { Transcript } from '../../src/serial/transcript.ts'

const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it must fail'),
    (error: unknown) => error,
  )

describe('Transcript', () => {
  it('finds output that arrived before the call', async () => {
    const transcript = new Transcript(100)
    transcript.push('host login: ')
    expect(await transcript.expect(/(\w+) login: $/)).toEqual({ text: 'host login: ', before: '', groups: ['host'] })
  })

  it('finds output that arrives in pieces after the call', async () => {
    const transcript = new Transcript(100)
    const found = transcript.expect('login: ')
    transcript.push('booting\nlog')
    transcript.push('in: rest')
    expect(await found).toEqual({ text: 'login: ', before: 'booting\n', groups: [] })
    expect(transcript.text).toBe('rest')
  })

  it('consumes what it finds, so that the next call finds the next one', async () => {
    const transcript = new Transcript(100)
    transcript.push('$ 1\n$ 2\n')
    expect((await transcript.expect(/\$ (\d)/)).groups).toEqual(['1'])
    expect((await transcript.expect(/\$ (\d)/)).groups).toEqual(['2'])
  })

  it('fulfils several waits in the order of the calls', async () => {
    const transcript = new Transcript(100)
    const waits = [transcript.expect('b'), transcript.expect('a')]
    transcript.push('a b a')
    expect((await Promise.all(waits)).map(({ before }) => before)).toEqual(['a ', ' '])
  })

  it('does not remember the position of a global expression', async () => {
    const transcript = new Transcript(100)
    const pattern = /x/g
    for (let round = 0; round < 3; round++) {
      transcript.push('x')
      expect((await transcript.expect(pattern)).text).toBe('x')
    }
  })

  it('keeps the latest output alone', async () => {
    const transcript = new Transcript(4)
    transcript.push('abcdef')
    expect(transcript.text).toBe('cdef')
  })

  it('finds output longer than it keeps while somebody waits', async () => {
    const transcript = new Transcript(4)
    const found = transcript.expect('bcdefg')
    transcript.push('abcdefgh')
    expect((await found).text).toBe('bcdefg')
  })

  it('rejects at the deadline with the output', async () => {
    vi.useFakeTimers()
    const transcript = new Transcript(100)
    const failed = failure(transcript.expect(/login/, { timeoutMs: 5000 }))
    transcript.push('kernel panic')
    vi.advanceTimersByTime(5000)
    const error = await failed
    vi.useRealTimers()
    expect(error).toBeInstanceOf(ExpectTimeout)
    expect((error as ExpectTimeout).output).toBe('kernel panic')
    const message = 'The console did not show /login/ within 5 seconds: its last line is "kernel panic"'
    expect((error as ExpectTimeout).message).toBe(message)
  })

  it('names silence at the deadline', async () => {
    vi.useFakeTimers()
    const failed = failure(new Transcript(100).expect('x', { timeoutMs: 1 }))
    vi.advanceTimersByTime(1)
    const error = await failed
    vi.useRealTimers()
    expect(String(error)).toContain('did not show "x" within 0.001 seconds: it shows nothing')
  })

  it('leaves the output for the next call after a deadline', async () => {
    vi.useFakeTimers()
    const transcript = new Transcript(100)
    const [first, second] = [failure(transcript.expect('z', { timeoutMs: 1 })), transcript.expect('a')]
    transcript.push('a')
    vi.advanceTimersByTime(1)
    await first
    vi.useRealTimers()
    expect((await second).text).toBe('a')
  })

  it('has no deadline with Infinity', async () => {
    const transcript = new Transcript(100)
    const found = transcript.expect('a', { timeoutMs: Number.POSITIVE_INFINITY })
    await new Promise((resolve) => setImmediate(resolve))
    transcript.push('a')
    expect((await found).text).toBe('a')
  })

  it('rejects with the reason of the signal, and gives its place to the next call', async () => {
    const transcript = new Transcript(100)
    const stop = new AbortController()
    const [stopped, next] = [failure(transcript.expect('z', { signal: stop.signal })), transcript.expect('a')]
    transcript.push('a')
    stop.abort(new Error('enough'))
    expect(await stopped).toEqual(new Error('enough'))
    expect((await next).text).toBe('a')
  })

  it('rejects all waits once the console has ended, but still finds what had arrived', async () => {
    const transcript = new Transcript(100)
    const waiting = failure(transcript.expect('z'))
    transcript.push('a')
    transcript.end(new Error('closed'))
    expect(await waiting).toEqual(new Error('closed'))
    expect((await transcript.expect('a')).text).toBe('a')
    expect(await failure(transcript.expect('a'))).toEqual(new Error('closed'))
  })
})
