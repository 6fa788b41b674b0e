import { mkdtempDisposable, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { ConfigError, createLogger } from '@oriel/runtime'
import { describe, expect, it, test } from 'vitest'
import { createStaticSource, type ServerChange, type Source } from '../../../src/index.ts'
import { createSources } from '../../../src/sources/create.ts'
import type { StaticServerConfig, StaticSourceConfig } from '../../../src/sources/static/config.ts'
import { createReloadingSource } from '../../../src/sources/static/reloading.ts'
import { configOf } from '../../support.ts'
import { sourceSuite } from '../source.suite.ts'

const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

sourceSuite('static', async () => {
  const { sources } = configOf(`
    [[sources]]
    kind = "static"
    [[sources.servers]]
    id = "${ID}"
    name = "web-1"
    project_id = "p"
    consoles.vnc = { host = "10.0.0.5", port = 5901 }`)
  const source = createStaticSource(sources[0] as StaticSourceConfig)
  return {
    source,
    server: { id: ID, name: 'web-1', projectId: 'p', host: '10.0.0.5' },
    vnc: { host: '10.0.0.5', port: 5901 },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  }
})

const entry = (changes = '') =>
  `[[servers]]\nid = "${ID}"\nname = "web-1"\nproject_id = "p"\nconsoles.vnc = { host = "10.0.0.5", port = 5901 }\n${changes}\n`

/** A static source with a file, which the test may change. */
async function withFile(text = entry()) {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'servers-')))
  const file = join(folder.path, 'servers.toml')
  await writeFile(file, text)
  const records: { msg: string; faults?: string[] }[] = []
  const log = createLogger({ name: 'test', destination: { write: (line) => void records.push(JSON.parse(line)) } })
  const source = stack.use(createReloadingSource({ kind: 'static', servers: [], file }, { log, lookEveryMs: 20 }))
  const changes: ServerChange[] = []
  source.subscribe?.((change) => changes.push(change))
  const rest = stack.move()
  return { source, file, records, changes, [Symbol.asyncDispose]: async () => rest.disposeAsync() }
}

/**
 * Another file takes its place: while it is written where it is, it is empty for a moment, and the source may look then.
 */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

sourceSuite('static, from a file', async () => {
  const { source, file, ...rest } = await withFile()
  return {
    source,
    server: { id: ID, name: 'web-1', projectId: 'p', host: '10.0.0.5' },
    vnc: { host: '10.0.0.5', port: 5901 },
    async end() {
      await writeFile(file, '')
      source.reload([])
    },
    [Symbol.asyncDispose]: async () => rest[Symbol.asyncDispose](),
  }
})

describe('a file of servers', () => {
  const nameOf = async (source: Source) => (await source.find(ID))?.name

  test('is read again when it is written or replaced', async () => {
    await using one = await withFile()
    // It becomes longer, so nothing empties it first.
    await writeFile(one.file, entry().replace('web-1', 'web-one'), { flag: 'r+' })
    await expect.poll(() => nameOf(one.source)).toBe('web-one')
    await replace(one.file, entry().replace('web-1', 'web-two'))
    await expect.poll(() => nameOf(one.source)).toBe('web-two')
    expect(one.changes).toEqual([])
  })

  test('is read again with the configuration, whose servers are added to those of the file', async () => {
    await using one = await withFile()
    one.source.reload([listed('b')])
    expect(one.records).toMatchObject([{ msg: 'servers read again', servers: 2 }])
    expect((await one.source.list()).map(({ id }) => id).toSorted()).toEqual([ID, 'b'].toSorted())
    await writeFile(one.file, entry().replace('web-1', 'web-one'))
    await expect.poll(() => nameOf(one.source)).toBe('web-one')
    expect(await one.source.find('b')).toBeDefined()
    one.source.reload([listed(ID)])
    expect(one.records.at(-1)).toMatchObject({
      faults: [`servers[0].id: ${ID} is the id of api.toml's servers[0] too, give each server its own`],
    })
    expect(await one.source.find('b')).toBeDefined()
  })

  test.each([
    ['gone', entry().replace(ID, ID.replace('5', '6'))],
    ['stopped', entry('status = "SHUTOFF"')],
    ['moved', entry().replace('5901', '5902')],
    ['reassigned', entry().replace('"p"', '"q"')],
  ])('causes a notification of a server that is %s', async (kind, text) => {
    await using one = await withFile()
    await replace(one.file, text)
    one.source.reload([])
    expect(one.changes).toEqual([{ serverId: ID, kind }])
  })

  test.each([
    ['is no TOML', '[[servers', /line 1, column \d+/],
    ['has an unknown key', entry('nam = "x"'), /servers\[0\]\.nam\b/],
    ['has an invalid port', entry().replace('5901', '0'), /servers\[0\]\.consoles\.vnc\.port/],
    ['has an id twice', entry() + entry(), /servers\[1\]\.id: .* is the id of servers\[0\] too/],
    [
      'has SPICE without a port',
      entry('consoles.spice = { host = "h" }'),
      /servers\[0\]\.consoles\.spice: has no port/,
    ],
    [
      'has VNC without a port',
      entry().replace(', port = 5901', ''),
      /servers\[0\]\.consoles\.vnc: has no port, give one/,
    ],
    [
      'has a Unix socket with a port',
      entry('consoles.serial = { host = "unix:/run/a.sock", port = 1 }'),
      /servers\[0\]\.consoles\.serial: is a Unix socket, which has no port/,
    ],
    [
      'has a relative Unix socket',
      entry('consoles.serial = { host = "unix:a.sock" }'),
      /"unix:a\.sock" is not a Unix socket, give an absolute path/,
    ],
  ])('that %s changes nothing, and causes a log line with the key path', async (_, text, fault) => {
    await using one = await withFile()
    await replace(one.file, text)
    one.source.reload([])
    expect(one.records.at(-1)).toMatchObject({ level: 'error', faults: [expect.stringMatching(fault)] })
    expect(await nameOf(one.source)).toBe('web-1')
    expect(one.changes).toEqual([])
    await writeFile(one.file, entry().replace('web-1', 'web-one'))
    await expect.poll(() => nameOf(one.source)).toBe('web-one')
  })

  test('that has more than 16 MiB changes nothing, and causes a log line', async () => {
    await using one = await withFile()
    await truncate(one.file, 16 * 2 ** 20 + 1)
    one.source.reload([])
    expect(one.records.at(-1)?.faults).toEqual([expect.stringContaining('it has more than 16 MiB')])
    expect(await nameOf(one.source)).toBe('web-1')
  })

  test('that is deleted changes nothing', async () => {
    await using one = await withFile()
    await rm(one.file)
    await expect.poll(() => one.records.at(-1)?.faults).toEqual([expect.stringContaining('cannot be read (ENOENT)')])
    expect(await nameOf(one.source)).toBe('web-1')
  })

  test('that is faulty at the start causes a ConfigError', async () => {
    await expect(withFile('nonsense')).rejects.toBeInstanceOf(ConfigError)
  })
})

/** A server as the configuration lists it. */
function listed(id: string, changes = ''): StaticServerConfig {
  const { sources } = configOf(
    `[[sources]]\nkind = "static"\n[[sources.servers]]\nid = "${id}"\nname = "n"\nproject_id = "p"\n${changes}`,
  )
  return (sources[0] as StaticSourceConfig).servers[0]!
}

describe('servers that the configuration lists', () => {
  const VNC = 'consoles.vnc = { host = "10.0.0.5", port = 5901 }'
  const others: StaticSourceConfig[] = [{ kind: 'static', servers: [listed('o')] }]
  const open = async () => {
    const records: { msg: string }[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void records.push(JSON.parse(line)) } })
    const sources = await createSources(
      [...others, { kind: 'static', servers: [listed('a', VNC), listed('b', VNC)] }],
      { log },
    )
    const changes: ServerChange[] = []
    sources.source.subscribe?.((change) => changes.push(change))
    const ids = async () => (await sources.source.list()).map(({ id }) => id)
    return { ...sources, records, changes, ids }
  }

  test('change at a reload, which notifies listeners', async () => {
    await using one = await open()
    one.reload([...others, { kind: 'static', servers: [listed('b', VNC.replace('5901', '5902')), listed('c')] }])
    expect(await one.ids()).toEqual(['o', 'b', 'c'])
    expect(one.changes).toEqual([
      { serverId: 'a', kind: 'gone' },
      { serverId: 'b', kind: 'moved' },
    ])
    expect(await one.source.console((await one.source.find('b'))!, 'vnc', 'novnc')).toMatchObject({ port: 5902 })
  })

  test('do not change at a reload with other sources', async () => {
    await using one = await open()
    one.reload([{ kind: 'static', servers: [listed('c')] }])
    expect(await one.ids()).toEqual(['o', 'a', 'b'])
    expect(one.records.at(-1)?.msg).toMatch(/wait for a restart/)
  })
})

describe('a console at a Unix socket', () => {
  it('has no port, and its server is on this host', async () => {
    await using one = await withFile(entry().replace('"10.0.0.5", port = 5901', '"unix:/run/oriel/web-1.sock"'))
    const server = (await one.source.find(ID))!
    expect(server.host).toBe('localhost')
    expect(await one.source.console(server, 'vnc', 'novnc')).toMatchObject({
      host: 'unix:/run/oriel/web-1.sock',
      port: null,
    })
  })
})

describe('the password of a VNC console', () => {
  const withPassword = (password: string) => entry().replace('port = 5901', `port = 5901, ${password}`)
  const passwordOf = async (source: Source, protocol: 'vnc' | 'serial' = 'vnc', ask = true) => {
    const server = (await source.find(ID))!
    const console = await source.console(server, protocol, 'novnc', ask ? { withPassword: true } : {})
    return 'password' in console ? console.password?.reveal() : 'absent'
  }

  it('is returned only if it is asked for, and printed nowhere', async () => {
    const text = `${withPassword('password = "secret-1"')}consoles.serial = { host = "h", port = 1 }\n`
    await using one = await withFile(text)
    expect(await passwordOf(one.source)).toBe('secret-1')
    expect(await passwordOf(one.source, 'vnc', false)).toBe('absent')
    expect(await passwordOf(one.source, 'serial')).toBe('absent')
    const console = await one.source.console((await one.source.find(ID))!, 'vnc', 'novnc', { withPassword: true })
    const printed = [inspect(console, { depth: 9 }), JSON.stringify([console, await one.source.list(), one.records])]
    expect(printed.join()).not.toContain('secret-1')
  })

  it('comes from a file too, is read again with the list, and leaves tokens valid when it changes', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'password-'))
    const file = join(folder.path, 'password')
    await writeFile(file, 'secret-1\n')
    await using one = await withFile(withPassword(`password_file = "${file}"`))
    expect(await passwordOf(one.source)).toBe('secret-1')
    await writeFile(file, 'secret-2\n')
    one.source.reload([])
    expect(await passwordOf(one.source)).toBe('secret-2')
    expect(one.changes).toEqual([])
  })
})
