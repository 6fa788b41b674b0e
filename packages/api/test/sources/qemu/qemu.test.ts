import { linkSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLogger, loadConfig, silentLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { refineApiConfig } from '../../../src/config-refine.ts'
import type { ServerChange, Source } from '../../../src/index.ts'
import { ApiConfig, createQemuSource } from '../../../src/index.ts'
import type { QemuSourceConfig } from '../../../src/sources/qemu/config.ts'
import { MAX_MESSAGE_CHARACTERS, QmpConnection } from '../../../src/sources/qemu/qmp.ts'
import { runState, runStates } from '../../../src/sources/qemu/run-states.ts'
import { watchSockets } from '../../../src/sources/qemu/sockets.ts'
import { configOf } from '../../support.ts'
import { isSourceError, nextChange, sourceSuite } from '../source.suite.ts'
import {
  type FakeQemu,
  type FakeQemuOptions,
  fakeQemu,
  GREETING,
  guestAnswers,
  NOT_FOUND,
  SILENCE,
  socketFolder,
} from './fake-qmp.ts'

const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const HOST = '10.0.0.5'

interface Bench extends AsyncDisposable {
  readonly source: Source
  readonly qemu: FakeQemu
  readonly folder: string
  readonly changes: readonly ServerChange[]
}

/** An answer may take its time, unless a test is about one that stays away. */
const qemuConfig = (
  folder: string,
  keys = 'poll_seconds = 0.1\nrestart_seconds = 0',
  answerTimeoutMs = 30_000,
): QemuSourceConfig =>
  configOf(`
    [[sources]]
    kind = "qemu"
    qmp = "${folder}/*.qmp"
    host = "${HOST}"
    console_hosts = ["192.0.2.0/28", "2001:db8::/64"]
    project_id = "p"
    answer_timeout_ms = ${answerTimeoutMs}
    ${keys}`).sources[0] as QemuSourceConfig

/** A source of one fake guest, `web-1.qmp`. */
async function bench(
  options: FakeQemuOptions & {
    keys?: string
    answerTimeoutMs?: number
    log?: ReturnType<typeof silentLogger>
  } = {},
): Promise<Bench> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await socketFolder()).path
  const qemu = stack.use(await fakeQemu(join(folder, 'web-1.qmp'), options))
  const config = qemuConfig(folder, options.keys, options.answerTimeoutMs)
  const source = stack.use(await createQemuSource(config, { log: options.log ?? silentLogger() }))
  const changes: ServerChange[] = []
  source.subscribe?.((change) => changes.push(change))
  const rest = stack.move()
  return { source, qemu, folder, changes, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

function recorder() {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  return { lines, log: createLogger({ name: 'test', destination: { write } }) }
}
const messagesOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).msg)

const states = async (source: Source) => (await source.list()).map(({ vmState }) => vmState)
const consoleOf = async (source: Source, protocol: 'vnc' | 'spice' | 'serial') =>
  source.console((await source.find(ID))!, protocol, protocol === 'vnc' ? 'novnc' : 'serial')
const event = (name: string) => JSON.stringify({ event: name, timestamp: { seconds: 1, microseconds: 0 } })

sourceSuite('qemu', async () => {
  const { source, qemu, ...rest } = await bench()
  return {
    source,
    server: { id: ID, name: 'web-1', projectId: 'p', host: HOST },
    vnc: { host: HOST, port: 5911 },
    end: async () => qemu[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: async () => rest[Symbol.asyncDispose](),
  }
})

describe('the console addresses of a guest', () => {
  const vnc = (changes: object) => ({
    'query-vnc': { enabled: true, family: 'ipv4', service: '5911', host: '0.0.0.0', ...changes },
  })

  test.each([
    ['everywhere', vnc({}), { host: HOST, port: 5911 }],
    ['everywhere in IPv6', vnc({ host: '::', family: 'ipv6' }), { host: HOST, port: 5911 }],
    ['on loopback, which is forwarded', vnc({ host: '127.0.0.1' }), { host: HOST, port: 5911 }],
    ['on one address', vnc({ host: '192.0.2.7' }), { host: '192.0.2.7', port: 5911 }],
    ['on one IPv6 address', vnc({ host: '2001:db8::7', family: 'ipv6' }), { host: '2001:db8::7', port: 5911 }],
  ])('give the host to dial for VNC %s', async (_, answers, address) => {
    await using one = await bench({ answers: guestAnswers(answers) })
    expect(await consoleOf(one.source, 'vnc')).toEqual(address)
  })

  test.each([
    ['on a Unix socket', vnc({ family: 'unix', host: '', service: '/run/vnc.sock' })],
    ['nowhere', { 'query-vnc': { enabled: false } }],
    ['at no port', vnc({ service: '0' })],
    ['at a port that is not a number', vnc({ service: '5900;id' })],
    ['at a host that is no name', vnc({ host: 'a b/../c' })],
    ['and QEMU was built without it', { 'query-vnc': NOT_FOUND }],
  ])('are absent for VNC %s, which is logged', async (_, answers) => {
    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
    await using one = await bench({ answers: guestAnswers(answers), log })
    await expect(consoleOf(one.source, 'vnc')).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ serverId: ID, protocol: 'vnc' }])
  })

  test('give the exact loopback address for a loopback host', async () => {
    await using one = await bench({ answers: guestAnswers(vnc({ host: '127.0.0.2' })), keys: 'serial_chardev = "c"' })
    await using folder = await socketFolder()
    await using _ = await fakeQemu(join(folder.path, 'a.qmp'), { answers: one.qemu.answers })
    await using source = await createQemuSource(
      { ...qemuConfig(folder.path), host: '127.0.0.1' },
      { log: silentLogger() },
    )
    expect(await consoleOf(source, 'vnc')).toEqual({ host: '127.0.0.2', port: 5911 })
  })

  test.each([
    ['both ports', { port: 5930, 'tls-port': 5931, host: '*' }, { host: HOST, port: 5930, tlsPort: 5931 }],
    ['TLS alone', { 'tls-port': 5931, host: '192.0.2.7' }, { host: '192.0.2.7', port: null, tlsPort: 5931 }],
  ])('give the ports of SPICE with %s', async (_, spice, address) => {
    await using one = await bench({ answers: guestAnswers({ 'query-spice': { enabled: true, ...spice } }) })
    expect(await consoleOf(one.source, 'spice')).toEqual(address)
  })

  test.each([
    ['the metadata service', vnc({ host: '169.254.169.254' })],
    ['the metadata service, as one number', vnc({ host: '2852039166' })],
    ['another name', vnc({ host: 'db.example' })],
    ['loopback where the source is elsewhere, mapped', vnc({ host: '::ffff:10.0.0.6', family: 'ipv6' })],
    ['a port of another program', vnc({ service: '22' })],
  ])('are refused for %s, and the log names the key that would allow it', async (_, answers) => {
    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
    await using one = await bench({ answers: guestAnswers(answers), log })
    await expect(consoleOf(one.source, 'vnc')).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
    const why = expect.stringMatching(/console_hosts|console_ports/)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ serverId: ID, protocol: 'vnc', why }])
  })

  test.each([
    ['its host in another case or form', { host: 'Compute-1.example' }, vnc({ host: 'compute-1.EXAMPLE' })],
    ['a name that is listed', { console_hosts: ['vnc.example'] }, vnc({ host: 'vnc.example' })],
    ['a lower port that is listed', { console_ports: '4000-5000' }, vnc({ service: '4555' })],
  ])('are accepted for %s', async (_, keys, answers) => {
    await using folder = await socketFolder()
    await using __ = await fakeQemu(join(folder.path, 'a.qmp'), { answers: guestAnswers(answers) })
    const config = { ...qemuConfig(folder.path), ...keys }
    await using source = await createQemuSource(config, { log: silentLogger() })
    expect(await consoleOf(source, 'vnc')).toMatchObject({ port: expect.any(Number) })
  })

  const SOCKET = '/run/oriel/web-1.sock'
  test.each([
    ['vnc', vnc({ family: 'unix', host: '', service: SOCKET })],
    ['spice', { 'query-spice': { enabled: true, host: SOCKET, auth: 'none' } }],
    ['serial', { 'query-chardev': [{ label: 'c', filename: `disconnected:unix:${SOCKET},server=on` }] }],
    ['serial', { 'query-chardev': [{ label: 'c', filename: `unix:${SOCKET},server` }] }],
  ] as const)('give the Unix socket of %s if console_sockets lists it, and else the key', async (protocol, answers) => {
    await using folder = await socketFolder()
    await using _ = await fakeQemu(join(folder.path, 'a.qmp'), { answers: guestAnswers(answers) })
    const config = { ...qemuConfig(folder.path), console_sockets: ['/run/oriel/*.sock'] }
    await using source = await createQemuSource(config, { log: silentLogger() })
    expect(await consoleOf(source, protocol)).toEqual({ host: `unix:${SOCKET}`, port: null })

    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
    await using narrow = await createQemuSource({ ...config, console_sockets: ['/run/oriel/db-*'] }, { log })
    await expect(consoleOf(narrow, protocol)).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
    expect(lines.map((line) => JSON.parse(line).why)).toEqual([`the Unix socket ${SOCKET} is not in console_sockets`])
  })

  test.each(['web-1.sock', '/run/oriel/../docker.sock', `/run/oriel/${'a'.repeat(108)}.sock`])(
    'are absent for VNC on the Unix socket %s, which no proxy can dial',
    async (service) => {
      await using folder = await socketFolder()
      await using _ = await fakeQemu(join(folder.path, 'a.qmp'), {
        answers: guestAnswers(vnc({ family: 'unix', host: '', service })),
      })
      const config = { ...qemuConfig(folder.path), console_sockets: ['/run/oriel/*', '/*/*/*/*'] }
      await using source = await createQemuSource(config, { log: silentLogger() })
      await expect(consoleOf(source, 'vnc')).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
    },
  )

  test.each([
    ['console_ports = "70000-80000"', 'sources[0].console_ports'],
    ['console_ports = "6000-5900"', 'give the first and the last, such as 5900-65535'],
    ['console_ports = "5900"', 'the first and the last port, such as 5900-65535'],
    ['console_hosts = ["10.0.0.0/33"]', 'sources[0].console_hosts[0]'],
    ['console_hosts = ["http://10.0.0.5"]', 'a name, an address or a CIDR'],
    ['console_sockets = ["run/*.sock"]', 'is not an absolute path, give one such as /run/oriel/*.sock'],
  ])('are limited by keys, of which %s is a fault', (keys, message) => {
    const toml = `auth.method = "none"\n[[sources]]\nkind = "qemu"\nqmp = "/run/*.qmp"\nhost = "${HOST}"\nproject_id = "p"\n${keys}`
    expect(() => loadConfig(ApiConfig, { toml, refine: refineApiConfig })).toThrow(message)
  })

  const chardev = (filename: string) => ({ 'query-chardev': [{ label: 'c', filename }] })
  test.each([
    ['without a client', chardev('disconnected:tcp:0.0.0.0:10011,server=on'), { host: HOST, port: 10011 }],
    ['with a client', chardev('tcp:0.0.0.0:10011,server=on <-> 10.1.1.1:40000'), { host: HOST, port: 10011 }],
    ['QEMU 4', chardev('disconnected:tcp:192.0.2.7:10011,server'), { host: '192.0.2.7', port: 10011 }],
    ['IPv6', chardev('tcp:[2001:db8::7]:10011,server=on <-> [2001:db8::9]:1'), { host: '2001:db8::7', port: 10011 }],
  ])('give the serial port, %s', async (_, answers, address) => {
    await using one = await bench({ answers: guestAnswers(answers) })
    expect(await consoleOf(one.source, 'serial')).toEqual(address)
  })

  test.each([
    ['is no server', chardev('tcp:192.0.2.7:10011 <-> 10.1.1.1:1')],
    ['speaks telnet', chardev('disconnected:telnet:0.0.0.0:10011,server=on')],
    ['is a Unix socket', chardev('unix:/run/serial.sock,server=on')],
    ['is a terminal', chardev('pty:/dev/pts/3')],
    ['is not there: the chardev on TCP is a monitor', { 'qom-list /machine/unattached': [] }],
    ['is not there: its device names another chardev', { 'qom-get /machine/unattached/device[13]': 'gone' }],
    ['has no chardev', { 'qom-get /machine/unattached/device[13]': NOT_FOUND }],
  ])('are absent for a serial port that %s', async (_, answers) => {
    await using one = await bench({ answers: guestAnswers(answers) })
    await expect(consoleOf(one.source, 'serial')).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
  })

  test.each([
    ['pci-serial-2x', 2],
    ['pci-serial-4x', 3],
  ])('include each port of a multi-port card: %s', async (kind, port) => {
    const path = '/machine/peripheral-anon/device[0]'
    const answers = guestAnswers({
      'qom-list /machine/unattached': [],
      'qom-list /machine/peripheral-anon': [{ name: 'device[0]', type: `child<${kind}>` }],
      ...Object.fromEntries([1, 2, 3, 4].map((each) => [`qom-get ${path} chardev${each}`, ''])),
      [`qom-get ${path} chardev${port}`]: 'c',
    })
    await using one = await bench({ answers })
    expect(await consoleOf(one.source, 'serial')).toEqual({ host: HOST, port: 10011 })
  })

  test('give the configured serial chardev without a query of devices', async () => {
    await using one = await bench({
      keys: 'serial_chardev = "c"',
      answers: guestAnswers({ 'qom-list /machine/unattached': NOT_FOUND }),
    })
    expect(await consoleOf(one.source, 'serial')).toEqual({ host: HOST, port: 10011 })
  })
})

describe('run states', () => {
  test.each(Object.entries(runStates))('map %s to the states of a server', async (state, { vmState, taskState }) => {
    await using one = await bench({ answers: guestAnswers({ 'query-status': { status: state } }) })
    expect(await one.source.list()).toMatchObject([{ vmState, taskState }])
  })

  test('map an unknown state, or a name of Object.prototype, to an error', () => {
    for (const name of ['dreaming', 'constructor', '__proto__', '']) expect(runState(name)).toBe('unknown')
  })

  test('are all in the documentation', async () => {
    const docs = await readFile(new URL('../../../../../docs/sources.md', import.meta.url), 'utf8')
    for (const [state, { vmState, taskState, reason }] of Object.entries(runStates)) {
      expect(docs).toContain(`| \`${state}\` | \`${vmState}\` | ${taskState ? `\`${taskState}\` ` : ''}| ${reason} |`)
    }
  })
})

describe('the source', () => {
  test('changes a guest’s state at an event, and reports a stopped guest, which has no console', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
    one.qemu.answers['query-status'] = { status: 'paused' }
    one.qemu.send(event('STOP'))
    await expect.poll(() => states(one.source)).toEqual(['paused'])
    expect(one.changes).toEqual([])
    const change = nextChange(one.source)
    one.qemu.answers['query-status'] = { status: 'shutdown' }
    one.qemu.send(event('SHUTDOWN'))
    expect(await change).toEqual({ serverId: ID, kind: 'stopped' })
    await expect(consoleOf(one.source, 'vnc')).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
  })

  test('reports a console that moves without an event, and not one that is added', async () => {
    await using one = await bench()
    one.qemu.answers['query-spice'] = { enabled: true, host: '*', port: 5930 }
    await expect.poll(() => consoleOf(one.source, 'spice').catch(() => null)).toEqual({ host: HOST, port: 5930 })
    expect(one.changes).toEqual([])
    const change = nextChange(one.source)
    one.qemu.answers['query-vnc'] = { enabled: true, family: 'ipv4', service: '5999', host: '0.0.0.0' }
    expect(await change).toEqual({ serverId: ID, kind: 'moved' })
    expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5999 })
  })

  test('queries QEMU again for each console instead of using the last poll', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
    one.qemu.answers['query-vnc'] = { enabled: true, family: 'ipv4', service: '5999', host: '0.0.0.0' }
    expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5999 })
    expect(one.changes).toEqual([{ serverId: ID, kind: 'moved' }])
  })

  test('finds the guest of a new socket, and another guest at the same path', async () => {
    await using one = await bench()
    const path = join(one.folder, 'web-2.qmp')
    const other = 'a0000000-0000-4000-8000-000000000001'
    const ids = async () => (await one.source.list()).map(({ id }) => id).toSorted()
    {
      await using _ = await fakeQemu(path, { answers: guestAnswers({ 'query-uuid': { UUID: other } }) })
      await expect.poll(ids).toEqual([ID, other].toSorted())
    }
    await expect.poll(ids).toEqual([ID])
    expect(one.changes).toEqual([{ serverId: other, kind: 'gone' }])
    const third = 'a0000000-0000-4000-8000-000000000002'
    await using _ = await fakeQemu(path, { answers: guestAnswers({ 'query-uuid': { UUID: third } }) })
    await expect.poll(ids).toEqual([ID, third].toSorted())
  })

  test('ignores files that match the glob and are not sockets', async () => {
    await using one = await bench()
    await writeFile(join(one.folder, 'file.qmp'), '')
    await rm(join(one.folder, 'web-1.qmp'))
    expect(await states(one.source)).toEqual(['active'])
    expect(await consoleOf(one.source, 'vnc')).toMatchObject({ port: 5911 })
  })

  test('reconnects after a broken connection', async () => {
    await using one = await bench()
    one.qemu.cut()
    await expect.poll(() => one.changes).toEqual([{ serverId: ID, kind: 'gone' }])
    await expect.poll(() => states(one.source)).toEqual(['active'])
  })

  test('knows that a guest is switched off once QEMU has ended the connection, until it answers again', async () => {
    await using one = await bench()
    expect(one.source.switchedOff!(ID)).toBeUndefined()
    one.qemu.cut()
    await expect.poll(() => one.source.switchedOff!(ID)?.projectId).toBe('p')
    await expect.poll(() => one.source.switchedOff!(ID)).toBeUndefined()
    expect(await states(one.source)).toEqual(['active'])
  })

  test('does not take a guest for switched off whose monitor sends what QEMU does not', async () => {
    await using one = await bench()
    one.qemu.send('no JSON')
    await expect.poll(() => one.changes).toEqual([{ serverId: ID, kind: 'gone' }])
    expect(one.source.switchedOff!(ID)).toBeUndefined()
  })

  test('reports nothing if the connection breaks and the same guest answers again', async () => {
    const { lines, log } = recorder()
    await using one = await bench({ keys: 'poll_seconds = 0.1\nrestart_seconds = 3600', log })
    one.qemu.cut()
    await expect.poll(() => messagesOf(lines)).toEqual(['guest found', 'guest gone', 'guest found'])
    expect(one.source.mayRestart!(ID)).toBe(false)
    expect(one.changes).toEqual([])
  })

  test('uses the running copy during a migration on one host, and reports its arrival as a move', async () => {
    await using one = await bench()
    const incoming = guestAnswers({
      'query-status': { status: 'inmigrate' },
      'query-vnc': { enabled: true, family: 'ipv4', service: '5999', host: '0.0.0.0' },
    })
    await using arriving = await fakeQemu(join(one.folder, 'new.qmp'), { answers: incoming })
    await expect.poll(() => arriving.asked).toContain('query-chardev')
    expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5911 })
    const change = nextChange(one.source)
    one.qemu.answers['query-status'] = { status: 'postmigrate' }
    arriving.answers['query-status'] = { status: 'running' }
    expect(['moved', 'stopped']).toContain((await change).kind)
    await expect.poll(() => consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5999 })
  })

  test('refuses a second guest with the same UUID, with one log line, until the first ends', async () => {
    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
    await using one = await bench({ log, answerTimeoutMs: 2000 })
    const port = (service: string) => ({ 'query-vnc': { enabled: true, family: 'ipv4', service, host: '0.0.0.0' } })
    const path = join(one.folder, 'twin.qmp')
    await using twin = await fakeQemu(path, {
      answers: guestAnswers({ ...port('5999'), 'query-name': { name: 'twin' } }),
    })
    const asked = (times: number) => () => twin.asked.filter((command) => command === 'query-chardev').length >= times
    await expect.poll(asked(4)).toBe(true)
    Object.assign(twin.answers, port('5998'))
    await expect.poll(asked(8)).toBe(true)
    expect(one.changes).toEqual([])
    expect(await one.source.list()).toMatchObject([{ id: ID, name: 'web-1' }])
    expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5911 })
    // A silent second guest must not make the first one's consoles unavailable either.
    twin.answers['query-status'] = SILENCE
    expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5911 })
    delete twin.answers['query-status']
    const refusals = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg.includes('refused'))
    expect(refusals).toMatchObject([{ serverId: ID, server: 'web-1', second: expect.stringContaining('twin.qmp') }])
  })

  test('takes a second guest with the same UUID when the first ends', async () => {
    await using one = await bench()
    const answers = guestAnswers({ 'query-name': { name: 'twin' } })
    await using _ = await fakeQemu(join(one.folder, 'twin.qmp'), { answers })
    const change = nextChange(one.source)
    await one.qemu[Symbol.asyncDispose]()
    expect((await change).serverId).toBe(ID)
    await expect.poll(async () => (await one.source.list()).map(({ name }) => name)).toEqual(['twin'])
  })

  test('assigns a guest to the project of the first matching row', async () => {
    const keys = 'projects = [{ name = "db-*", project_id = "q" }, { name = "web-?", project_id = "r" }]'
    await using one = await bench({ keys })
    expect((await one.source.find(ID))?.projectId).toBe('r')
  })

  test('is ready only if the folder of the glob exists', async () => {
    await using one = await bench()
    await one.source.check?.()
    await one.qemu[Symbol.asyncDispose]()
    await rm(one.folder, { recursive: true })
    await expect(one.source.check?.()).rejects.toThrow('ENOENT')
  })
})

describe('a QEMU that misbehaves', () => {
  test('that is silent keeps its last known state, marked as such, until it replies again', async () => {
    // Long enough for the questions that are answered.
    await using one = await bench({ answerTimeoutMs: 5000 })
    const { ...answers } = one.qemu.answers
    one.qemu.answers['query-status'] = SILENCE
    await expect(consoleOf(one.source, 'vnc')).rejects.toThrow(/no answer|owes/)
    const [stale] = await one.source.list()
    expect(stale).toMatchObject({ id: ID, vmState: 'active', unansweredSince: expect.any(Number) })
    const asked = one.qemu.asked.length
    for (const _ of [1, 2, 3]) await expect(consoleOf(one.source, 'vnc')).rejects.toThrow('owes')
    expect(one.qemu.asked.length).toBe(asked)
    expect(one.changes).toEqual([])
    Object.assign(one.qemu.answers, answers)
    const lastId = one.qemu.asked.length
    one.qemu.send(JSON.stringify({ return: answers['query-status'], id: lastId }))
    await expect.poll(async () => (await one.source.list())[0]?.unansweredSince).toBeUndefined()
    expect(await consoleOf(one.source, 'vnc')).toMatchObject({ port: 5911 })
  })

  test('that sends an endless line is disconnected at the limit', async () => {
    await using folder = await socketFolder()
    const path = join(folder.path, 'a.qmp')
    await using _ = await fakeQemu(path, { greeting: `{"QMP": "${'x'.repeat(MAX_MESSAGE_CHARACTERS)}` })
    const opened = QmpConnection.open(path, { timeoutMs: 3_600_000 }, () => {})
    await expect(opened).rejects.toThrow('more than')
  })

  test('that is silent from the beginning has no guest, and the source starts', async () => {
    await using one = await bench({ greeting: '', answerTimeoutMs: 1000 })
    expect(await one.source.list()).toEqual([])
  })

  test.each([
    ['garbage', '\0\x01\xff nonsense\r\n'],
    ['a list', '[]\r\n'],
    ['an endless line', `{"QMP": "${'x'.repeat(MAX_MESSAGE_CHARACTERS)}`],
    ['a deep line', `${'['.repeat(100_000)}\r\n`],
  ])('that greets with %s has no guest', async (_, greeting) => {
    await using one = await bench({ greeting })
    expect(await one.source.list()).toEqual([])
  })

  test.each([
    ['garbage', 'nonsense', undefined],
    ['an endless line', '{'.repeat(MAX_MESSAGE_CHARACTERS + 1), ''],
  ])('that later sends %s is disconnected, reported, and found again', async (_, text, ending) => {
    await using one = await bench()
    one.qemu.send(text, ending)
    await expect.poll(() => one.changes).toEqual([{ serverId: ID, kind: 'gone' }])
    await expect.poll(() => states(one.source)).toEqual(['active'])
  })

  test.each([
    ['a malformed UUID', { 'query-uuid': { UUID: '../../etc/passwd' } }],
    ['the UUID of a guest that was given none', { 'query-uuid': { UUID: '00000000-0000-0000-0000-000000000000' } }],
    ['a status that is a number', { 'query-status': { status: 7 } }],
    ['null for everything', Object.fromEntries(Object.keys(guestAnswers()).map((command) => [command, null]))],
    ['a malformed list of chardevs', { 'query-chardev': { label: 'c' } }],
  ])('that has %s has no guest', async (_, answers) => {
    await using one = await bench({ answers: guestAnswers(answers) })
    expect(await one.source.list()).toEqual([])
  })

  test('that has no guest is logged once, and not at each retry', async () => {
    const { log, lines } = recorder()
    await using one = await bench({ answers: guestAnswers({ 'query-status': { status: 7 } }), log })
    const tries = () => one.qemu.asked.filter((command) => command === 'query-uuid').length
    await expect.poll(tries).toBeGreaterThan(3)
    expect(messagesOf(lines)).toEqual(['QMP socket gives no guest'])
  })

  test('that matches too many sockets is logged once, and not at each search', async () => {
    await using folder = await socketFolder()
    await using _ = await fakeQemu(join(folder.path, '0'))
    for (let name = 1; name < 10_000; name += 1) linkSync(join(folder.path, '0'), join(folder.path, `${name}`))
    const { log, lines } = recorder()
    using sockets = watchSockets({ pattern: join(folder.path, '*'), intervalMs: 3_600_000, log, onLook: () => {} })
    for (const _ of [1, 2, 3]) await sockets.look()
    expect(messagesOf(lines)).toEqual(['too many QMP sockets, ignoring the rest'])
  })

  test('that ends is logged as found and as gone', async () => {
    const { log, lines } = recorder()
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0', log })
    one.qemu.cut()
    await expect.poll(() => messagesOf(lines)).toEqual(['guest found', 'guest gone'])
  })

  test('that has a name of many lines is shown with one line, and without a name by its id', async () => {
    await using one = await bench({
      answers: guestAnswers({ 'query-name': { name: `a\n\u001b[31m\u202eb${'c'.repeat(999)}` } }),
    })
    expect((await one.source.find(ID))?.name).toBe(`a[31mb${'c'.repeat(249)}`)
    await using two = await bench({ answers: guestAnswers({ 'query-name': {} }) })
    expect((await two.source.find(ID))?.name).toBe(ID)
  })

  test('that sends unrequested replies and events is not affected by them', async () => {
    await using one = await bench()
    one.qemu.send('{"return": {}, "id": 4242}')
    one.qemu.send('{"error": {"class": "GenericError", "desc": "x"}}')
    one.qemu.send('{"event": "NONSENSE"}')
    one.qemu.send('')
    expect(await consoleOf(one.source, 'vnc')).toMatchObject({ port: 5911 })
    expect(one.changes).toEqual([])
  })

  test('that sends byte by byte has the same guest', async () => {
    await using one = await bench({ byteByByte: true })
    expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5911 })
  })

  test('that replies in many lines (-qmp-pretty) is supported', async () => {
    const greeting = `${JSON.stringify(JSON.parse(GREETING), null, 4)}\r\n`
    for (const byteByByte of [false, true]) {
      await using one = await bench({ greeting, indent: 4, byteByByte })
      expect(await consoleOf(one.source, 'vnc')).toEqual({ host: HOST, port: 5911 })
      one.qemu.answers['query-status'] = { status: 'paused' }
      one.qemu.send(JSON.stringify(JSON.parse(event('STOP')), null, 4))
      await expect.poll(() => states(one.source)).toEqual(['paused'])
    }
  })

  test('that disconnects after any byte has no guest, and causes no unhandled error', async () => {
    await using folder = await socketFolder()
    const whole = await bytesOfDescription()
    for (let byteLimit = 1; byteLimit <= whole; byteLimit += 1) {
      await using _ = await fakeQemu(join(folder.path, 'web-1.qmp'), { byteLimit })
      const changes: ServerChange[] = []
      await using source = await createQemuSource(qemuConfig(folder.path, 'poll_seconds = 3600'), {
        log: silentLogger(),
      })
      source.subscribe?.((change) => changes.push(change))
      if (byteLimit < whole) expect(await source.list(), `after ${byteLimit} bytes`).toEqual([])
      else await expect.poll(() => changes).toEqual([{ serverId: ID, kind: 'gone' }])
    }
  })
})

/** How many bytes a fake guest sends until it is listed: all but the line break after its last answer. */
async function bytesOfDescription(): Promise<number> {
  const answers = guestAnswers()
  await using one = await bench({ answers, keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
  const asked = one.qemu.asked.slice(0, one.qemu.asked.indexOf('query-chardev') + 1)
  const replies = asked.map((command, index) => {
    const answer = answers[command]
    return JSON.stringify({ return: answer, id: index + 1 }).length + 2
  })
  return GREETING.length + replies.reduce((sum, length) => sum + length, 0) - 2
}
