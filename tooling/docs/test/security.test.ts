import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const CVE = /CVE-\d{4}-\d+/
const page = readFileSync(new URL('docs/security.md', root), 'utf8')
const rows = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))

describe('docs/security.md', () => {
  it('names only tests that exist', () => {
    const files = [...page.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, file]) => file!)
    expect(files.length).toBeGreaterThan(30)
    expect(files.filter((file) => !existsSync(new URL(file, root)))).toEqual([])
  })

  it('names a test for every promise', () => {
    const heads = ['| who |', '| fault |']
    const promises = rows.filter((row) => !heads.some((head) => row.startsWith(head)))
    expect(promises.filter((row) => !row.includes('.test.ts`'))).toEqual([])
  })

  it.each(rows.flatMap((row) => CVE.exec(row)?.[0] ?? []))('the tests named beside %s mention it', (cve) => {
    const row = rows.find((line) => line.includes(cve))!
    const files = [...row.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, file]) => file!)
    const speaking = files.filter((file) => readFileSync(new URL(file, root), 'utf8').includes(cve))
    expect(speaking).not.toEqual([])
  })
})
