import { execFile } from 'node:child_process'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { combineSources, createStaticSource, type ServerChange, type Source, SourceError } from '../../src/index.ts'
import type { StaticServerConfig } from '../../src/sources/static/config.ts'
import { configOf, fakeSource, server } from '../support.ts'

const ID = 'a-server'
/** A static source of one server, as a configuration file would give it. */
function staticSource(toml: string): Source {
  const { sources } = configOf(
    `[[sources]]\nkind = "static"\n[[sources.servers]]\nid = "${ID}"\nname = "n"\nproject_id = "p"\n${toml}`,
  )
  return createStaticSource(sources[0] as { kind: 'static'; servers: StaticServerConfig[] })
}
const found = async (source: Source) => (await source.find(ID))!

describe('the static source', () => {
  test('gives a server with only a name the state active and a host', async () => {
    const source = staticSource('')
    expect(await found(source)).toMatchObject({ id: ID, vmState: 'active', taskState: null, locked: false, tags: [] })
    expect((await found(source)).host).not.toBeNull()
  })

  test.each([
    ['the console’s host', 'consoles.serial = { host = "h1", port = 1 }', 'h1'],
    ['the configured host', 'host = "compute-1"\nconsoles.vnc = { host = "h1", port = 1 }', 'compute-1'],
    ['none for the empty host', 'host = ""\nconsoles.vnc = { host = "h1", port = 1 }', null],
    ['none once offloaded', 'status = "SHELVED_OFFLOADED"\nconsoles.vnc = { host = "h1", port = 1 }', null],
    ['none before it is scheduled', 'status = "BUILD"', null],
  ])('gives a server the host for %s', async (_, toml, host) => {
    expect((await found(staticSource(toml))).host).toBe(host)
  })

  test('returns the configured addresses of consoles', async () => {
    const source = staticSource(
      'consoles.spice = { host = "h", tls_port = 2 }\nconsoles.mks = { host = "h", port = 3, internal_access_path = "x" }',
    )
    const one = await found(source)
    expect(await source.console(one, 'spice', 'spice-direct')).toEqual({
      host: 'h',
      port: null,
      tlsPort: 2,
      internalAccessPath: null,
    })
    expect(await source.console(one, 'mks', 'webmks')).toEqual({
      host: 'h',
      port: 3,
      tlsPort: null,
      internalAccessPath: 'x',
    })
  })

  test('throws for other consoles, with InstanceNotFound for a server in BUILD', async () => {
    const code = (source: Source) =>
      found(source)
        .then((one) => source.console(one, 'vnc', 'novnc'))
        .catch((error: SourceError) => error.code)
    expect(await code(staticSource(''))).toBe('ConsoleTypeUnavailable')
    expect(await code(staticSource('status = "BUILD"\nhost = "h"'))).toBe('InstanceNotFound')
  })

  test('does not list a deleted server', async () => {
    const source = staticSource('status = "DELETED"')
    expect(await source.list()).toEqual([])
    expect((await found(source)).vmState).toBe('deleted')
  })

  test('compares ids exactly', async () => {
    expect(await staticSource('').find(ID.toUpperCase())).toBeUndefined()
  })

  test('reads the log each time, and only the end of a long one', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-log-'))
    const file = join(folder.path, 'console.log')
    const source = staticSource(`console_log = "${file}"`)
    const one = await found(source)
    await writeFile(file, 'first\n')
    expect(Buffer.from(await source.output!(one)).toString()).toBe('first\n')
    await writeFile(file, `${'x'.repeat(1_048_576)}the end`)
    const long = Buffer.from(await source.output!(one))
    expect([long.length, long.subarray(-7).toString()]).toEqual([1_048_576, 'the end'])
  })

  test('refuses a log that is a pipe or a device without blocking', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-log-'))
    const pipe = join(folder.path, 'console.pipe')
    await promisify(execFile)('mkfifo', [pipe])
    for (const path of [pipe, '/dev/null']) {
      const source = staticSource(`console_log = "${path}"`)
      await expect(source.output!(await found(source))).rejects.toMatchObject({
        code: 'ConsoleNotAvailable',
        cause: { message: 'not a regular file' },
      })
    }
  })

  test('throws ConsoleNotAvailable without a log, or without its file', async () => {
    for (const toml of ['', 'console_log = "/nowhere/at/all.log"']) {
      const source = staticSource(toml)
      await expect(source.output!(await found(source))).rejects.toMatchObject({ code: 'ConsoleNotAvailable' })
    }
  })
})

describe('several sources', () => {
  const at = (host: string) => ({ console: async () => ({ host, port: 1 }), output: async () => host })
  const one = fakeSource([server({ id: 'a', name: 'first' }), server({ id: 'b' })], at('one'))
  const other = fakeSource([server({ id: 'a', name: 'second' }), server({ id: 'c' })], at('other'))

  test('are combined to one list, in which an id belongs to the first source that has it', async () => {
    const both = combineSources([one, other])
    expect((await both.list()).map(({ id, name }) => [id, name])).toEqual([
      ['a', 'first'],
      ['b', 'web-1'],
      ['c', 'web-1'],
    ])
    expect((await both.find('a'))?.name).toBe('first')
    expect(await both.find('d')).toBeUndefined()
  })

  describe('with one id', () => {
    const guest = (changes: object) => fakeSource([server({ id: 'a', ...changes })])
    /** Two sources whose servers and changes a test chooses. */
    function pair(first: object, second: object) {
      const emit: ((change: ServerChange) => void)[] = []
      const servers = [[server({ id: 'a', name: 'one', ...first })], [server({ id: 'a', name: 'two', ...second })]]
      const sources = servers.map((_, index) =>
        fakeSource([], {
          name: `source-${index}`,
          list: async () => servers[index]!,
          find: async (id) => servers[index]!.find((each) => each.id === id),
          subscribe: (listener) => {
            emit[index] = listener
            return { [Symbol.dispose]: () => {} }
          },
        }),
      )
      const twins: unknown[] = []
      const changes: ServerChange[] = []
      const both = combineSources(sources, (twin) => twins.push(twin))
      both.subscribe!((change) => changes.push(change))
      const nameOf = async () => (await both.find('a'))?.name
      return { both, servers, emit, twins, changes, nameOf }
    }

    test('keep the guest that was found first, and report the second one once', async () => {
      const { both, emit, twins, changes, nameOf } = pair({ createdAt: 2000 }, { createdAt: 1000 })
      for (const _ of [1, 2, 3]) {
        expect(await nameOf()).toBe('two')
        expect((await both.list()).map(({ name }) => name)).toEqual(['two'])
      }
      for (const kind of ['moved', 'stopped', 'gone'] as const) emit[0]!({ serverId: 'a', kind })
      expect(changes).toEqual([])
      emit[1]!({ serverId: 'a', kind: 'moved' })
      expect(changes).toEqual([{ serverId: 'a', kind: 'moved' }])
      expect(twins).toEqual([{ serverId: 'a', first: 'sources[1] source-1', second: 'sources[0] source-0' }])
    })

    test('keep the guest of the first source if both were found at once', async () => {
      expect(await pair({ createdAt: 1 }, { createdAt: 1 }).nameOf()).toBe('one')
      expect(await pair({}, {}).nameOf()).toBe('one')
    })

    test('keep the running guest, and during a migration the side that has arrived', async () => {
      expect(await pair({ vmState: 'stopped', createdAt: 1 }, { createdAt: 2 }).nameOf()).toBe('two')
      const migrated = pair({ taskState: 'migrating', createdAt: 1 }, { createdAt: 2 })
      expect(await migrated.nameOf()).toBe('two')
      expect(migrated.twins).toEqual([])
    })

    test('report a move when the second guest takes the place of the first', async () => {
      const { servers, emit, changes, nameOf } = pair({ createdAt: 1 }, { createdAt: 2 })
      expect(await nameOf()).toBe('one')
      servers[0] = []
      emit[0]!({ serverId: 'a', kind: 'gone' })
      expect(await nameOf()).toBe('two')
      expect(changes).toEqual([
        { serverId: 'a', kind: 'gone' },
        { serverId: 'a', kind: 'moved' },
      ])
    })

    test('fail with a source that fails, instead of using another', async () => {
      const failing = fakeSource([], { find: () => Promise.reject(new Error('away')) })
      await expect(combineSources([failing, guest({})]).find('a')).rejects.toThrow('away')
    })
  })

  test('are each queried for their own servers', async () => {
    const both = combineSources([one, other])
    const hosts = ['a', 'b', 'c'].map(async (id) => (await both.console((await both.find(id))!, 'vnc', 'novnc')).host)
    expect(await Promise.all(hosts)).toEqual(['one', 'one', 'other'])
    expect(await both.output!((await both.find('c'))!)).toBe('other')
  })

  test('throw NotImplemented for logs only of a source without logs', async () => {
    const { output: _, ...silent } = other
    const both = combineSources([one, silent])
    await expect(both.output!((await both.find('c'))!)).rejects.toThrow(SourceError)
    expect(await both.output!((await both.find('a'))!)).toBe('one')
  })

  const sick = { check: () => Promise.reject(new Error('sick')) }
  const hanging = { check: () => new Promise<void>(() => {}) }

  test('are ready while one of them is', async () => {
    await combineSources([{ ...one, ...sick }, { ...other, ...hanging }, one]).check!()
    await combineSources([]).check!()
    const none = combineSources([
      { ...one, ...sick },
      { ...other, ...sick },
    ])
    await expect(none.check!()).rejects.toThrow('no source responds')
  })

  test('are closed together', async () => {
    const closed: string[] = []
    const closing = (name: string) => ({ [Symbol.asyncDispose]: async () => void closed.push(name) })
    {
      await using _ = combineSources([
        { ...one, ...closing('one') },
        { ...other, ...closing('other') },
      ])
    }
    expect(closed.toSorted()).toEqual(['one', 'other'])
  })
})
