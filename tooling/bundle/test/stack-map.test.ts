import { SourceMap } from 'node:module'
import { decode, encode } from '@jridgewell/sourcemap-codec'
import { expect, it } from 'vitest'
import { stackMap } from '../stack-map.ts'

const map = {
  version: 3,
  sources: ['../node_modules/ws/index.js', '../../packages/proxy/src/session/relay.ts'],
  sourcesContent: ['long', 'text'],
  names: ['send'],
  mappings: encode([
    [[0, 0, 4, 0]],
    [
      [2, 1, 9, 2],
      [8, 1, 9, 8, 0],
    ],
    [],
    [[0, 1, 11, 0]],
  ]),
}

it('stackMap maps each generated line of our own sources once, and removes the source texts', () => {
  const { sources, mappings, ...rest } = stackMap(map)
  expect(sources).toEqual(['../../packages/proxy/src/session/relay.ts'])
  expect(decode(mappings)).toEqual([[], [[0, 0, 9, 2]], [[0]], [[0, 0, 11, 0]]])
  expect(rest).toEqual({ version: 3, names: [] })
})

it('stackMap lets Node find the line of our own sources, and none for a dependency', () => {
  const found = new SourceMap(stackMap(map) as never)
  expect(found.findEntry(1, 40)).toMatchObject({
    originalSource: '../../packages/proxy/src/session/relay.ts',
    originalLine: 9,
  })
  for (const line of [0, 2]) expect(found.findEntry(line, 3)).not.toMatchObject({ originalSource: expect.any(String) })
})
