import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { createVitest } from 'vitest/node'
import { LongestFirst, long } from '../sequencer.ts'

const root = resolve(import.meta.dirname, '../../..')

it.each(long)('%s is there', (file) => {
  expect(existsSync(resolve(root, file))).toBe(true)
})

it('starts the files that take long first, and keeps the files of a project together', async () => {
  const vitest = await createVitest('test', { root, watch: false, run: true })
  try {
    const files = await vitest.globTestSpecifications()
    const order = (await new LongestFirst(vitest).sort(files)).map(({ project, moduleId }) => [project.name, moduleId])
    expect(order).toHaveLength(files.length)
    const projects = order.map(([name]) => name)
    expect(projects.filter((name, i) => name !== projects[i - 1])).toEqual([...new Set(projects)])
    const firstOf = (name: string, count: number) =>
      order.flatMap(([project, file]) => (project === name ? [file!.slice(root.length + 1)] : [])).slice(0, count)
    const inPackages = long.filter((file) => !file.startsWith('tests/'))
    expect(firstOf('unit', inPackages.length)).toEqual(inPackages)
    expect(firstOf('e2e', long.length - inPackages.length)).toEqual(long.filter((file) => file.startsWith('tests/')))
  } finally {
    await vitest.close()
  }
})
