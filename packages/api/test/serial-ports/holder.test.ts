import { expect, test } from 'vitest'
import { holderOf } from '../../src/serial-ports/holder.ts'

const proxy = (proxyId: string, group = proxyId) => ({ proxyId, group })
const three = ['a', 'b', 'c'].map((id) => proxy(id))
const servers = Array.from({ length: 300 }, (_, i) => `server-${i}`)
const holders = (standing: readonly ReturnType<typeof proxy>[]) =>
  new Map(servers.map((id) => [id, holderOf(id, { standing, viewed: [] })]))

test('three proxies hold about a third of the ports each', () => {
  const counts = Map.groupBy(holders(three).values(), (id) => id)
  for (const { proxyId } of three) expect(counts.get(proxyId)!.length).toBeGreaterThan(60)
})

test('a proxy that leaves moves its own ports only', () => {
  const [before, after] = [holders(three), holders(three.slice(0, 2))]
  for (const id of servers) if (before.get(id) !== 'c') expect(after.get(id)).toBe(before.get(id))
})

test('no proxy holds a port while none stands', () => {
  expect(holderOf('server-1', { standing: [], viewed: [{ serverId: 'server-1', proxyId: 'a' }] })).toBeUndefined()
})

test.each([
  ['the proxy of the first viewer holds the port', three, ['b', 'c'], 'b'],
  ['a viewer of another server moves nothing', three, [], 'chosen'],
  [
    'the chosen proxy keeps the port of a viewer at its own group',
    three.map(({ proxyId }) => proxy(proxyId, 'g')),
    ['b'],
    'chosen',
  ],
  ['the chosen proxy keeps the port while a viewer reads along there', three, ['b', 'chosen'], 'chosen'],
  ['no proxy holds the port of a viewer at a proxy that does not stand', three, ['x'], undefined],
])('%s', (_, standing, viewers, expected) => {
  const chosen = holderOf('server-1', { standing, viewed: [] })!
  const nameOf = (name: string | undefined) => (name === 'chosen' ? chosen : name)
  const others = three.map(({ proxyId }) => proxyId).filter((id) => id !== chosen)
  const at = (name: string) => (name === 'b' ? others[0]! : name === 'c' ? others[1]! : nameOf(name)!)
  const viewed = [
    { serverId: 'server-2', proxyId: others[0]! },
    ...viewers.map((name) => ({ serverId: 'server-1', proxyId: at(name) })),
  ]
  expect(holderOf('server-1', { standing, viewed })).toBe(expected === 'b' ? others[0] : nameOf(expected))
})
