import { describe, expect, it } from 'vitest'
import { Gathered } from '../../src/hypervisor/gathered.ts'
import { mainFilter } from '../../src/spice/channel/main-channel.ts'
import type { SpiceSession } from '../../src/spice/session/session.ts'
import { Framer } from '../../src/spice/wire/framing.ts'
import { serverMessages } from '../../src/spice/wire/protocol.ts'

/**
 * Counts the bytes that are copied and the array elements that are spread while `work` runs. Patched by hand: the spies of
 * vitest iterate over arrays themselves.
 */
function effort(work: () => void): number {
  let count = 0
  const { set } = Uint8Array.prototype
  const { concat } = Buffer
  const iterate = Array.prototype[Symbol.iterator]
  Uint8Array.prototype.set = function (source, offset) {
    count += source.length
    set.call(this, source, offset)
  }
  Buffer.concat = (list, length) => {
    const all = concat(list, length)
    count += all.length
    return all
  }
  // biome-ignore lint/suspicious/noExplicitAny: an iterator of whatever the array has
  Array.prototype[Symbol.iterator] = function (this: any[]) {
    count += this.length
    return iterate.call(this)
  }
  try {
    work()
  } finally {
    Uint8Array.prototype.set = set
    Buffer.concat = concat
    Array.prototype[Symbol.iterator] = iterate
  }
  return count
}

describe('gathered bytes', () => {
  it('are the bytes of all pieces in order, and are released by take', () => {
    const gathered = new Gathered()
    for (let i = 0; i < 300; i += 1) gathered.append(Buffer.of(i & 0xff))
    expect(gathered.length).toBe(300)
    expect(gathered.take()).toEqual(Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff)))
    gathered.append(Buffer.from('x'))
    expect(gathered.take().toString()).toBe('x')
  })
})

describe('the main channel in one-byte pieces', () => {
  const wire = (bodyBytes: number) => {
    const message = Buffer.alloc(6 + bodyBytes)
    message.writeUInt16LE(serverMessages.main.name, 0)
    message.writeUInt32LE(bodyBytes, 2)
    message.writeUInt32LE(bodyBytes - 4, 6)
    return message
  }

  function filtered(bodyBytes: number): number {
    const session = { log: { debug: () => {} } } as unknown as SpiceSession
    const rules = { identity: 'off', hidden: new Set(), migrationHosts: { any: false, has: () => false } } as const
    const filter = mainFilter(session, rules as never, { format: 'mini', wantsUuid: true, migrating: false })
    const framer = new Framer('mini')
    const message = wire(bodyBytes)
    let given: Buffer | undefined
    const spent = effort(() => {
      for (let i = 0; i < message.length; i += 1) {
        for (const piece of framer.push(message.subarray(i, i + 1))) given = filter(piece)
      }
    })
    expect(given).toEqual(message)
    return spent
  }

  it('costs time in proportion to its bytes', () => {
    const [small, large] = [filtered(512), filtered(4 * 1024)]
    expect(large / small).toBeLessThan(10)
    expect(large).toBeLessThan(8 * 4 * 1024)
  })
})
