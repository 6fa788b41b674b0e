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
    const listed = [...new Set(projects)].flatMap((name) => {
      const ofProject = order.flatMap(([project, file]) => (project === name ? [file!.slice(root.length + 1)] : []))
      const first = long.filter((file) => ofProject.includes(file))
      expect(ofProject.slice(0, first.length)).toEqual(first)
      return first
    })
    expect(listed.toSorted()).toEqual(long.toSorted())
  } finally {
    await vitest.close()
  }
})
