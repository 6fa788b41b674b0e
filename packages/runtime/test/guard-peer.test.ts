/** Values that a foreign peer chose, where they are handled and where they are logged. */
import { describe, expect, test } from 'vitest'
import { createLogger, guardPeer } from '../src/index.ts'

const values: readonly unknown[] = [
  '{"toString":null,"valueOf":null,"toJSON":null}',
  '{"__proto__":{"polluted":true}}',
  '{"message":{"toString":null},"stack":{"toString":null},"cause":{"toString":null}}',
  '['.repeat(5000) + ']'.repeat(5000),
  '['.repeat(100_000) + ']'.repeat(100_000),
  `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
  '1e999',
  '"\\ud800"',
  'null',
].map((json) => JSON.parse(json))

describe('a value of a foreign peer', () => {
  test.each(values.map((value, index) => [index, value]))(
    '%i is logged as one line, wherever it stands',
    (_, value) => {
      const lines: string[] = []
      const log = createLogger({
        name: 'test',
        level: 'trace',
        destination: { write: (line) => void lines.push(line) },
      })
      log.info({ value })
      log.info({ err: value, error: value, reason: value }, 'three')
      log.info({ err: Object.assign(new Error('x', { cause: value }), { detail: value }) }, 'an error')
      log.info('%o %j', value as object, value as object)
      log.child({ value }).info('a child')
      expect(lines).toHaveLength(5)
      for (const line of lines) expect(line.match(/\n/g)).toEqual(['\n'])
    },
  )

  test('is passed to fail as an Error if its handler throws, for any thrown value', () => {
    const ended: unknown[] = []
    for (const thrown of [new RangeError('deep'), ...values]) {
      const handler = guardPeer(
        (): boolean => {
          throw thrown
        },
        (cause) => {
          ended.push(cause)
          return false
        },
      )
      expect(handler()).toBe(false)
    }
    expect(ended[0]).toBeInstanceOf(RangeError)
    expect(ended.every((cause) => cause instanceof Error)).toBe(true)
  })

  test('is passed to fail with the arguments of the call, so that one guard serves many peers', () => {
    const handler = guardPeer(
      (_peer: string): string => {
        throw new Error('malformed')
      },
      (cause, peer) => `${peer}: ${cause.message}`,
    )
    expect(handler('a')).toBe('a: malformed')
    expect(handler('b')).toBe('b: malformed')
  })

  test('reaches a handler that does not throw, with all arguments', () => {
    const handler = guardPeer(
      (a: number, b: number) => a + b,
      () => -1,
    )
    expect(handler(1, 2)).toBe(3)
  })
})
