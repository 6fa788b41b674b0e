import { describe, expect, it } from 'vitest'
import { createLogger } from '../src/log.ts'
import { RefusedOrigins } from '../src/refused-origins.ts'

describe('RefusedOrigins', () => {
  function reporting(now = () => 0) {
    const lines: string[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void lines.push(line) } })
    return { origins: new RefusedOrigins({ log, key: 'origin.allowed', allowed: ['a.example'], now }), lines }
  }

  it('logs the line that adds an origin to the allowed ones', () => {
    const { origins, lines } = reporting()
    origins.report('https://portal.example', 'refused')
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'warn',
      msg: 'refused',
      line: 'origin.allowed = ["a.example", "https://portal.example"]',
    })
  })

  it('logs an origin once an hour, even for different refusals', () => {
    let atMs = 0
    const { origins, lines } = reporting(() => atMs)
    for (const minute of [0, 10, 59, 60, 61]) {
      atMs = minute * 60_000
      origins.report('https://portal.example', 'one refusal')
      origins.report('https://portal.example', 'another refusal')
    }
    expect(lines).toHaveLength(2)
  })

  it('logs a warning for an origin that was logged at level info before', () => {
    const { origins, lines } = reporting()
    origins.report('https://portal.example', 'a hint', 'info')
    origins.report('https://portal.example', 'a refusal')
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(['info', 'warn'])
  })

  it('logs at most 100 origins an hour', () => {
    const { origins, lines } = reporting()
    for (let i = 0; i < 10_000; i += 1) origins.report(`https://${i}.example`, 'refused')
    expect(lines).toHaveLength(100)
  })
})
