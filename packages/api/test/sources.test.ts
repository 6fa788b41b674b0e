import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { combineSources, createStaticSource, type Source, SourceError } from '../src/index.ts'
import type { StaticServerConfig } from '../src/servers/config.ts'
import { configOf, fakeSource, server } from './support.ts'

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
  test('a server with nothing but its name is active on some host', async () => {
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
  ])('host: %s', async (_, toml, host) => {
    expect((await found(staticSource(toml))).host).toBe(host)
  })

  test('consoles are where they are said to be', async () => {
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

  test('other consoles are not available; while it is built, the server is not known yet', async () => {
    const code = (source: Source) =>
      found(source)
        .then((one) => source.console(one, 'vnc', 'novnc'))
        .catch((error: SourceError) => error.code)
    expect(await code(staticSource(''))).toBe('ConsoleTypeUnavailable')
    expect(await code(staticSource('status = "BUILD"\nhost = "h"'))).toBe('InstanceNotFound')
  })

  test('a deleted server is in no list', async () => {
    const source = staticSource('status = "DELETED"')
    expect(await source.list()).toEqual([])
    expect((await found(source)).vmState).toBe('deleted')
  })

  test('ids are exact', async () => {
    expect(await staticSource('').find(ID.toUpperCase())).toBeUndefined()
  })

  test('the log is read anew each time, and from its end if it is long', async () => {
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

  test('without a log, or without its file, there is no console to read', async () => {
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

  test('are one list; an id belongs to the first that knows it', async () => {
    const both = combineSources([one, other])
    expect((await both.list()).map(({ id, name }) => [id, name])).toEqual([
      ['a', 'first'],
      ['b', 'web-1'],
      ['c', 'web-1'],
    ])
    expect((await both.find('a'))?.name).toBe('first')
    expect(await both.find('d')).toBeUndefined()
  })

  test('each is asked for its own servers', async () => {
    const both = combineSources([one, other])
    const hosts = ['a', 'b', 'c'].map(async (id) => (await both.console((await both.find(id))!, 'vnc', 'novnc')).host)
    expect(await Promise.all(hosts)).toEqual(['one', 'one', 'other'])
    expect(await both.output!((await both.find('c'))!)).toBe('other')
  })

  test('one that cannot read logs says so for its servers alone', async () => {
    const { output: _, ...silent } = other
    const both = combineSources([one, silent])
    await expect(both.output!((await both.find('c'))!)).rejects.toThrow(SourceError)
    expect(await both.output!((await both.find('a'))!)).toBe('one')
  })

  const sick = { check: () => Promise.reject(new Error('sick')) }
  const hanging = { check: () => new Promise<void>(() => {}) }

  test('are ready as long as one is', async () => {
    await combineSources([{ ...one, ...sick }, { ...other, ...hanging }, one]).check!()
    await combineSources([]).check!()
    const none = combineSources([
      { ...one, ...sick },
      { ...other, ...sick },
    ])
    await expect(none.check!()).rejects.toThrow('no source answers')
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
