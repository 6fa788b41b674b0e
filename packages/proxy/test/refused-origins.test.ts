import { describe, expect, it } from 'vitest'
import { RefusedOrigins } from '../src/admit/refused-origins.ts'
import { capture, running, TOKEN, upgrade } from './fixture.ts'

describe('RefusedOrigins', () => {
  function reporting(now = () => 0) {
    const { logger: log, lines } = capture()
    return { origins: new RefusedOrigins({ log, allowed: [], now }), lines }
  }

  it('logs an origin once an hour', () => {
    let atMs = 0
    const { origins, lines } = reporting(() => atMs)
    for (const minute of [0, 10, 59, 60, 61]) {
      atMs = minute * 60_000
      origins.report('https://portal.example', 'console')
      origins.report('https://portal.example', 'frame')
    }
    expect(lines).toHaveLength(2)
  })

  it('logs at most 100 origins an hour, however many there are', () => {
    const { origins, lines } = reporting()
    for (let i = 0; i < 10_000; i += 1) origins.report(`https://${i}.example`, 'console')
    expect(lines).toHaveLength(100)
  })
})

it('a page that is refused a console for its origin is logged once, with the line that allows it', async () => {
  await using proxy = await running({ toml: '[origin]\nallowed = ["other.example"]' })
  const refused = async (...origins: string[]) => {
    for (const origin of origins) await upgrade(proxy.address, `/?token=${TOKEN}`, [`Origin: ${origin}`])
  }
  await refused('https://portal.example:8443', 'https://portal.example', 'null', 'https://[::1]:9')
  const reported = proxy.log.lines.map((line) => JSON.parse(line)).filter((record) => 'line' in record)
  expect(reported).toMatchObject([
    { level: 'warn', line: 'origin.allowed = ["other.example", "https://portal.example"]' },
    { level: 'warn', line: 'origin.allowed = ["other.example", "https://[::1]"]' },
  ])
  expect(proxy.log.text()).not.toContain(TOKEN)
})
