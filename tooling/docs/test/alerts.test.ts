/** Every alert must have a paragraph in docs/operations.md, to which it links. */
import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'

const read = (name: string) => readFile(new URL(`../../../${name}`, import.meta.url), 'utf8')
const PAGE = 'https://github.com/oriel-console/oriel/blob/main/docs/operations.md'

it('every alert links to its paragraph in docs/operations.md, and each paragraph belongs to an alert', async () => {
  const alerts = (await read('deploy/prometheus-alerts.yaml')).split(/^ {6}- alert: /m).slice(1)
  const names = alerts.map((alert) => alert.split('\n')[0]!)
  const paragraphs = new Map(
    (await read('docs/operations.md')).split(/^#{2,3} /m).map((part) => {
      const [heading, ...lines] = part.split('\n')
      return [heading!, lines.join(' ').trim()] as const
    }),
  )
  for (const [i, name] of names.entries()) {
    expect(alerts[i]).toContain(`runbook_url: ${PAGE}#${name.toLowerCase()}\n`)
    expect(paragraphs.get(name)?.length, name).toBeGreaterThan(100)
  }
  expect([...paragraphs.keys()].filter((heading) => /^Oriel[A-Z]/.test(heading)).sort()).toEqual([...names].sort())
})
