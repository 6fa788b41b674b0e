import { expect, it } from 'vitest'
import { running, TOKEN, upgrade } from '../fixture.ts'

it('the log names the origin of a refused page once, with the line that allows it', async () => {
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
