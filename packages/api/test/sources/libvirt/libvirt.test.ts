import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { createLogger, silentLogger } from '@oriel/runtime'
import { describe, expect, test, vi } from 'vitest'
import { createLibvirtSource, type ServerChange, type Source, SourcePartlyUnavailable } from '../../../src/index.ts'
import { createReach } from '../../../src/sources/guests/reach.ts'
import { hostOf, type LibvirtSourceConfig } from '../../../src/sources/libvirt/config.ts'
import { domainState, domainStates, pausedReasons, shutoffReasons } from '../../../src/sources/libvirt/domain-states.ts'
import { MAX_XML_CHARACTERS, readDomainXml } from '../../../src/sources/libvirt/domain-xml.ts'
import { domainXml, shortLines } from '../../../src/sources/libvirt/virsh.ts'
import { configOf } from '../../support.ts'
import { isSourceError, nextChange, sourceSuite } from '../source.suite.ts'
import { domainXmlOf, type FakeDomain, type FakeVirsh, fakeVirsh } from './fake-virsh.ts'

const ID = '6695eb01-f6a4-8304-79aa-97f2502e193a'
const HOST = '10.0.0.5'
const URI = 'qemu:///system'
const VNC =
  "<graphics type='vnc' port='5900' autoport='yes' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>"
const RUNNING: FakeDomain = { uuid: ID, name: 'web-1', runId: 1, state: 1, reason: 1, xml: domainXmlOf(ID, VNC) }

interface Bench extends AsyncDisposable {
  readonly source: Source
  readonly virsh: FakeVirsh
  readonly changes: readonly ServerChange[]
}

/** An answer may take its time, unless a test is about one that stays away. */
const libvirtConfig = (
  keys = 'poll_seconds = 0.1\nrestart_seconds = 0',
  answerTimeoutMs = 30_000,
): LibvirtSourceConfig =>
  configOf(`
    [[sources]]
    kind = "libvirt"
    uri = "${URI}"
    host = "${HOST}"
    project_id = "p"
    answer_timeout_ms = ${answerTimeoutMs}
    ${keys}`).sources[0] as LibvirtSourceConfig

async function bench({
  domains = [RUNNING],
  keys,
  answerTimeoutMs,
}: {
  domains?: readonly FakeDomain[]
  keys?: string
  answerTimeoutMs?: number
} = {}): Promise<Bench> {
  await using stack = new AsyncDisposableStack()
  const virsh = stack.use(await fakeVirsh())
  await virsh.domains(...domains)
  const { program } = virsh
  const config = libvirtConfig(keys, answerTimeoutMs)
  const source = stack.use(await createLibvirtSource(config, { log: silentLogger(), program }))
  const changes: ServerChange[] = []
  source.subscribe?.((change) => changes.push(change))
  const rest = stack.move()
  return { source, virsh, changes, [Symbol.asyncDispose]: async () => rest.disposeAsync() }
}

const vncOf = async (source: Source) => source.console((await source.find(ID))!, 'vnc', 'novnc')

sourceSuite('libvirt', async () => {
  const { source, virsh, ...rest } = await bench()
  return {
    source,
    server: { id: ID, name: 'web-1', projectId: 'p', host: HOST },
    vnc: { host: HOST, port: 5900 },
    async end() {
      await virsh.domains({
        ...RUNNING,
        state: 5,
        reason: 2,
        xml: domainXmlOf(ID, VNC.replace('5900', '-1'), "type='qemu'"),
      })
      await virsh.event("event 'lifecycle' for domain 'web-1': Stopped Destroyed")
    },
    [Symbol.asyncDispose]: async () => rest[Symbol.asyncDispose](),
  }
})

describe('passwords in domain XML', () => {
  const PASSWORD = `p<&>"'w`
  const SECRET_XML = domainXmlOf(ID, VNC.replace("'vnc'", `'vnc' passwd='p&lt;&amp;&gt;&quot;&apos;w'`))
  const secretCalls = async ({ virsh }: Bench) =>
    (await virsh.calls()).filter((call) => !call.includes('--readonly') || call.includes('security-info'))

  test('are read with a read-write connection, only for a VNC console whose password is asked for', async () => {
    await using one = await bench({ keys: 'passwords = true\npoll_seconds = 0.1' })
    await one.virsh.print(`${ID}.secrets`, SECRET_XML)
    const server = (await one.source.find(ID))!
    await vncOf(one.source)
    await one.source.console(server, 'serial', 'serial', { withPassword: true }).catch(() => {})
    expect(await secretCalls(one)).toEqual([])
    const { password, ...rest } = await one.source.console(server, 'vnc', 'novnc', { withPassword: true })
    expect(rest).toEqual({ host: HOST, port: 5900 })
    expect(password?.reveal()).toBe(PASSWORD)
    expect(await secretCalls(one)).toEqual([`--connect=${URI} --quiet dumpxml --domain ${ID} --security-info`])
    // Polls see the XML without the password, which is no change.
    const polls = async () => (await one.virsh.calls()).filter((call) => call.includes('domstats')).length
    const before = await polls()
    await expect.poll(polls).toBeGreaterThan(before + 1)
    expect(one.changes).toEqual([])
    expect(await vncOf(one.source)).toEqual({ host: HOST, port: 5900 })
  })

  test('are not read unless the configuration has passwords = true', async () => {
    await using one = await bench()
    await one.virsh.print(`${ID}.secrets`, SECRET_XML)
    const server = (await one.source.find(ID))!
    expect(await one.source.console(server, 'vnc', 'novnc', { withPassword: true })).toEqual({ host: HOST, port: 5900 })
    expect(await secretCalls(one)).toEqual([])
  })

  test('are absent for a domain without one', async () => {
    await using one = await bench({ keys: 'passwords = true' })
    const server = (await one.source.find(ID))!
    expect(await one.source.console(server, 'vnc', 'novnc', { withPassword: true })).toEqual({ host: HOST, port: 5900 })
    expect(await secretCalls(one)).toHaveLength(1)
  })

  test('cause a 503 that names the key if libvirt refuses a read-write connection', async () => {
    await using one = await bench({ keys: 'passwords = true' })
    await one.virsh.failXml(ID, 'error: authentication failed')
    const server = (await one.source.find(ID))!
    const asked = one.source.console(server, 'vnc', 'novnc', { withPassword: true })
    await expect(asked).rejects.toMatchObject({
      name: 'SourceUnavailable',
      message: 'virsh dumpxml: error: authentication failed (passwords = true needs a read-write connection)',
    })
  })

  test('are in no error and no log, wherever the XML is cut or broken', async () => {
    const reach = createReach(HOST, { console_hosts: [], console_ports: '5900-65535', console_sockets: [] })
    const secret = 'correct-horse'
    const xml = SECRET_XML.replace(/passwd='[^']*'/, `passwd='${secret}'`)
    const broken = Array.from({ length: xml.length }, (_, at) => [
      xml.slice(0, at),
      `${xml.slice(0, at)}<!DOCTYPE x>${xml.slice(at)}`,
      `${xml.slice(0, at)}<${xml.slice(at)}`,
      `${xml.slice(0, at)}'${xml.slice(at)}`,
    ]).flat()
    const errors: unknown[] = []
    for (const text of broken) {
      try {
        readDomainXml(text, reach)
      } catch (error) {
        errors.push(error)
      }
    }
    expect(errors.length).toBeGreaterThan(xml.length)
    expect(inspect(errors, { depth: 9, maxArrayLength: null }) + JSON.stringify(errors)).not.toContain(secret)
    expect(inspect(readDomainXml(xml, reach), { depth: 9 })).not.toContain(secret)

    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'trace', destination: { write: (line) => void lines.push(line) } })
    await using virsh = await fakeVirsh()
    await virsh.domains(RUNNING)
    const config = libvirtConfig('passwords = true')
    await using source = await createLibvirtSource(config, { log, program: virsh.program })
    const server = (await source.find(ID))!
    for (const text of [xml, xml.replace('</domain>', ''), xml.replace(ID, 'x'), `<!DOCTYPE x>${xml}`]) {
      await virsh.print(`${ID}.secrets`, text)
      const outcome = await source.console(server, 'vnc', 'novnc', { withPassword: true }).catch((error) => error)
      expect(inspect(outcome, { depth: 9 })).not.toContain(secret)
    }
    expect(lines.join()).toContain('domain XML is unusable')
    expect(lines.join()).not.toContain(secret)
  })
})

describe('calls of virsh', () => {
  test('are read-only, with a fixed list of arguments, and without the program’s own environment', async () => {
    vi.stubEnv('ORIEL_SECRET', 'x')
    vi.stubEnv('DATABASE_PASSWORD', 'x')
    await using one = await bench()
    await vncOf(one.source)
    const prefix = `--connect=${URI} --readonly --quiet`
    await expect
      .poll(async () => [...new Set(await one.virsh.calls())].toSorted())
      .toEqual([
        `${prefix} domstats --state --raw`,
        `${prefix} dumpxml --domain ${ID}`,
        `${prefix} event --event lifecycle --loop`,
        `${prefix} list --all --uuid --name --id`,
      ])
    const names = await one.virsh.environment()
    expect(names).toContain('PATH')
    expect(names.filter((name) => /ORIEL|PASSWORD|NODE|VITEST/.test(name))).toEqual([])
    vi.unstubAllEnvs()
  })

  test.each(['', '--help', 'web-1', `${ID} `, `${ID}\n`, `${ID};id`, ID.toUpperCase(), `-${ID.slice(1)}`, '$(id)'])(
    'are refused with %j for a domain',
    async (id) => {
      await using virsh = await fakeVirsh()
      const options = { uri: URI, timeoutMs: 5000, program: virsh.program }
      await expect(domainXml(options, id)).rejects.toBeInstanceOf(TypeError)
      expect(await virsh.calls()).toEqual([])
    },
  )

  test.each(['-c evil', '--help', 'qemu', 'qemu:// /system', ''])('are refused with the URI %j', (uri) => {
    expect(() => configOf(`[[sources]]\nkind = "libvirt"\nuri = ${JSON.stringify(uri)}\nproject_id = "p"`)).toThrow()
  })

  test.each([
    ['qemu:///system', '127.0.0.1'],
    ['qemu:///session?socket=/run/x/libvirt-sock', '127.0.0.1'],
    ['qemu+tls://compute-1.example/system', 'compute-1.example'],
    ['qemu+ssh://root@compute-1.example:2222/system', 'compute-1.example'],
    ['qemu+tcp://[2001:db8::7]:16509/system', '2001:db8::7'],
  ])('to %s have the host %s', (uri, host) => {
    const { host: _, ...config } = libvirtConfig()
    expect(hostOf(uri, config)).toBe(host)
    expect(hostOf(uri, libvirtConfig())).toBe(HOST)
  })
})

describe('the source', () => {
  test('changes a domain’s state at an event', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
    await one.virsh.domains({ ...RUNNING, state: 3, reason: 1 })
    await one.virsh.event("event 'lifecycle' for domain 'web-1': Suspended Paused")
    await expect.poll(async () => (await one.source.find(ID))?.vmState).toBe('paused')
    expect(one.changes).toEqual([])
  })

  test('reports a domain that stops and starts again between two polls', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
    const change = nextChange(one.source)
    await one.virsh.event("event 'lifecycle' for domain 'web-1': Stopped Destroyed")
    expect(await change).toEqual({ serverId: ID, kind: 'stopped' })
  })

  test('reports no domain that stops and runs again at the same address', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 3600' })
    await one.virsh.domains({ ...RUNNING, runId: 2 })
    await one.virsh.event("event 'lifecycle' for domain 'web-1': Stopped Destroyed")
    // The event and the look that it causes come in any order with this one.
    await one.virsh.event("event 'lifecycle' for domain 'web-1': Started Booted")
    await expect
      .poll(async () => [(await one.virsh.calls()).length > 3, one.source.mayRestart!(ID)])
      .toEqual([true, false])
    expect(one.changes).toEqual([])
    expect(await vncOf(one.source)).toEqual({ host: HOST, port: 5900 })
  })

  test('has no console of a domain that has stopped and may restart', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 3600' })
    const xml = domainXmlOf(ID, VNC, "type='qemu'")
    await one.virsh.domains({ uuid: ID, name: 'web-1', state: 5, reason: 1, xml })
    await one.virsh.event("event 'lifecycle' for domain 'web-1': Stopped Destroyed")
    await expect.poll(() => one.source.mayRestart!(ID)).toBe(true)
    expect(one.changes).toEqual([])
    await expect(vncOf(one.source)).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
  })

  test('ignores lines that are not events, however long', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
    for (const line of [
      '',
      'x'.repeat(100_000),
      `event 'lifecycle' for domain '${'x'.repeat(5000)}': Stopped Destroyed`,
    ]) {
      await one.virsh.event(line)
    }
    const change = nextChange(one.source)
    await one.virsh.event("event 'lifecycle' for domain 'web-1': Stopped Failed")
    await change
    expect(one.changes).toHaveLength(1)
  })

  test('cuts an endless line, and reads the next one', async () => {
    const lines = shortLines()
    lines.end(Buffer.concat([Buffer.alloc(10_000_000, 'x'), Buffer.from('\nnext\n')]))
    const bytes = Buffer.concat(await lines.toArray())
    expect(bytes.length).toBeLessThan(5000)
    expect(bytes.toString()).toMatch(/^x+\nnext\n$/)
  })

  test('notices changes without events at the next poll', async () => {
    await using one = await bench()
    const change = nextChange(one.source)
    await one.virsh.domains()
    expect(await change).toEqual({ serverId: ID, kind: 'gone' })
  })

  test('reports a new run at another port as a move', async () => {
    await using one = await bench()
    const change = nextChange(one.source)
    await one.virsh.domains({ ...RUNNING, runId: 2, xml: domainXmlOf(ID, VNC.replace('5900', '5907')) })
    expect(await change).toEqual({ serverId: ID, kind: 'moved' })
    expect(await vncOf(one.source)).toEqual({ host: HOST, port: 5907 })
  })

  test('reads a console’s XML again instead of using the last poll', async () => {
    await using one = await bench({ keys: 'poll_seconds = 3600\nrestart_seconds = 0' })
    await one.virsh.domains({ ...RUNNING, xml: domainXmlOf(ID, VNC.replace('5900', '5907')) })
    expect(await vncOf(one.source)).toEqual({ host: HOST, port: 5907 })
    expect(one.changes).toEqual([{ serverId: ID, kind: 'moved' }])
  })

  test('lists a domain that is off without a console, and does not read its XML', async () => {
    await using one = await bench({ domains: [{ uuid: ID, name: 'web-1', state: 5, reason: 1 }] })
    expect(await one.source.list()).toMatchObject([{ id: ID, vmState: 'stopped' }])
    expect((await one.virsh.calls()).some((call) => call.includes('dumpxml'))).toBe(false)
  })

  test('refuses XML of another domain', async () => {
    const other = 'a0000000-0000-4000-8000-000000000001'
    await using one = await bench({ domains: [{ ...RUNNING, xml: domainXmlOf(other, VNC) }] })
    await expect(vncOf(one.source)).rejects.toSatisfy(isSourceError('InstanceNotFound'))
  })

  test('assigns a domain to the project of the first matching row', async () => {
    await using one = await bench({ keys: 'projects = [{ name = "web-*", project_id = "q" }]' })
    expect((await one.source.find(ID))?.projectId).toBe('q')
  })

  test('ignores output that is not a list', async () => {
    await using one = await bench()
    await one.virsh.print('list', `garbage\n${'x'.repeat(100_000)}\n$(id) 1 web\n${ID.toUpperCase()} 1 upper\n`)
    await expect.poll(() => one.source.list()).toEqual([])
  })
})

describe('an unavailable libvirt', () => {
  /** Long enough for the calls that are answered. */
  const answerTimeoutMs = 5000

  test.each([
    ['hangs', (virsh: FakeVirsh, on: boolean) => virsh.hang(on), 'no answer within 5000 ms'],
    [
      'is away',
      (virsh: FakeVirsh, on: boolean) => virsh.fail(on ? 'error: failed to connect to the hypervisor' : undefined),
      'failed to connect',
    ],
  ])(
    'keeps its domains in their last known state, marked as such, until it responds again: %s',
    async (_, set, why) => {
      await using one = await bench({ answerTimeoutMs })
      await set(one.virsh, true)
      await expect.poll(async () => (await one.source.list())[0]?.unansweredSince).toEqual(expect.any(Number))
      await expect(one.source.check?.()).rejects.toThrow('libvirt does not answer')
      await expect(vncOf(one.source)).rejects.toThrow(why)
      expect(one.changes).toEqual([])
      await set(one.virsh, false)
      await expect.poll(async () => (await one.source.list())[0]?.unansweredSince).toBeUndefined()
      await one.source.check?.()
      expect(await vncOf(one.source)).toEqual({ host: HOST, port: 5900 })
    },
  )

  test('does not affect the domains of another connection', async () => {
    const other = 'qemu+tls://compute-2.example/system'
    await using virsh = await fakeVirsh()
    await virsh.domains(RUNNING)
    const config = { ...libvirtConfig(), uri: [other, URI] }
    await using source = await createLibvirtSource(config, { log: silentLogger(), program: virsh.program })
    await source.check!()
    await virsh.away(other)
    const answer = () => source.check!().catch((error: unknown) => error)
    await expect.poll(answer).toBeInstanceOf(SourcePartlyUnavailable)
    await virsh.fail('error: failed to connect')
    await expect.poll(answer).toMatchObject({ message: 'libvirt does not answer' })
  })

  test('that is not installed leaves the source without domains and unready', async () => {
    const program = '/nonexistent/virsh'
    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
    await using source = await createLibvirtSource(libvirtConfig(), { log, program })
    expect(await source.list()).toEqual([])
    await expect(source.check?.()).rejects.toThrow('libvirt does not answer')
    const reason =
      '/nonexistent/virsh cannot be started (ENOENT): install libvirt-clients (Fedora: libvirt-client), or put its folder on the PATH of this service; in a container, build the image of deploy/libvirt-hosts/Containerfile'
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ reason }])
  })
})

test('a domain that runs on two connections belongs to the first, and the second is refused with one line', async () => {
  const lines: string[] = []
  const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
  await using virsh = await fakeVirsh()
  await virsh.domains(RUNNING)
  const config = { ...libvirtConfig(), uri: [URI, 'qemu+tls://compute-2.example/system'] }
  await using source = await createLibvirtSource(config, { log, program: virsh.program })
  const changes: ServerChange[] = []
  source.subscribe!((change) => changes.push(change))
  const calls = (await virsh.calls()).length
  await expect.poll(async () => (await virsh.calls()).length).toBeGreaterThan(calls + 12)
  expect((await source.list()).map(({ id }) => id)).toEqual([ID])
  expect(changes).toEqual([])
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { serverId: ID, msg: 'a second domain claims this UUID and is refused' },
  ])
  // While it migrates, both connections have it, and that is no mistake.
  await virsh.domains({ ...RUNNING, state: 3, reason: 2 })
  await expect.poll(async () => (await source.list())[0]?.taskState).toBe('migrating')
  expect(lines).toHaveLength(1)
})

test('a malformed uri is refused with an example', () => {
  const config = (uri: string) => `[[sources]]\nkind = "libvirt"\nuri = ${uri}\nproject_id = "p"`
  const example = 'a libvirt URI, such as qemu:///system or qemu+tls://compute-1.example/system'
  for (const uri of ['"qemu///system"', '["qemu:///system", "compute-1"]']) {
    expect(() => configOf(config(uri))).toThrow(example)
    expect(() => configOf(config(uri))).not.toThrow(/\^\[|\\s/)
  }
})

const OTHER = 'a0000000-0000-4000-8000-000000000001'

describe('a faulty domain', () => {
  const other: FakeDomain = { uuid: OTHER, name: 'odd', runId: 2, state: 1, reason: 1 }
  const hugeXml = domainXmlOf(OTHER, VNC).replace(
    '<devices>',
    `<metadata>${'x'.repeat(MAX_XML_CHARACTERS)}</metadata><devices>`,
  )

  async function benchWith(odd: FakeDomain, prepare?: (virsh: FakeVirsh) => Promise<void>) {
    const lines: string[] = []
    const log = createLogger({ name: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } })
    await using stack = new AsyncDisposableStack()
    const virsh = stack.use(await fakeVirsh())
    await virsh.domains(odd, RUNNING)
    await prepare?.(virsh)
    const source = stack.use(await createLibvirtSource(libvirtConfig(), { log, program: virsh.program }))
    const rest = stack.move()
    return {
      ...{ source, virsh },
      warnings: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
      [Symbol.asyncDispose]: () => rest.disposeAsync(),
    }
  }

  test.each<[string, FakeDomain, ((virsh: FakeVirsh) => Promise<void>)?]>([
    ['XML of more than 1 MiB', { ...other, xml: hugeXml }],
    ['a document type', { ...other, xml: `<!DOCTYPE d [<!ENTITY a "b">]>${domainXmlOf(OTHER, VNC)}` }],
    ['XML that is cut off', { ...other, xml: domainXmlOf(OTHER, VNC).slice(0, 60) }],
    ['no XML', { ...other, xml: '' }],
    [
      'XML that virsh cannot get',
      other,
      (virsh) => virsh.failXml(OTHER, 'error: internal error: client socket is closed'),
    ],
  ])('has no console and one log line, and the source is ready: %s', async (_, odd, prepare) => {
    await using one = await benchWith(odd, prepare)
    await one.source.check?.()
    expect((await one.source.list()).map(({ id }) => id).toSorted()).toEqual([ID, OTHER])
    expect(await vncOf(one.source)).toEqual({ host: HOST, port: 5900 })
    const refused = one.source.console((await one.source.find(OTHER))!, 'vnc', 'novnc')
    await expect(refused).rejects.toThrow(prepare ? 'client socket is closed' : 'unusable')
    const calls = (await one.virsh.calls()).length
    await expect.poll(async () => (await one.virsh.calls()).length).toBeGreaterThan(calls + 8)
    expect(one.warnings()).toMatchObject([
      { serverId: OTHER, server: 'odd', msg: expect.stringContaining('no console') },
    ])
    await one.source.check?.()
  })

  test('is not one with a document type in CDATA or a comment', async () => {
    const metadata =
      '<metadata><a:b xmlns:a="x"><![CDATA[<!DOCTYPE x [<!ENTITY y "z">]>]]></a:b><!-- <!DOCTYPE y> --></metadata>'
    const xml = domainXmlOf(OTHER, VNC).replace('<devices>', `${metadata}<devices>`)
    await using one = await benchWith({ ...other, xml })
    const odd = (await one.source.find(OTHER))!
    expect(await one.source.console(odd, 'vnc', 'novnc')).toEqual({ host: HOST, port: 5900 })
    expect(one.warnings()).toEqual([])
  })

  test.each([' x', 'x ', ' ', "it's", "x': y", '\u2028', 'x\ry'])('is not one with the name %j', async (name) => {
    await using one = await benchWith({ ...other, name, xml: domainXmlOf(OTHER, VNC) })
    const odd = (await one.source.find(OTHER))!
    expect(await one.source.console(odd, 'vnc', 'novnc')).toEqual({ host: HOST, port: 5900 })
  })

  test('gets its console at the next poll after its XML becomes valid', async () => {
    await using one = await benchWith({ ...other, xml: hugeXml })
    await one.virsh.domains({ ...other, xml: domainXmlOf(OTHER, VNC) }, RUNNING)
    const consoleOf = async () => one.source.console((await one.source.find(OTHER))!, 'vnc', 'novnc').catch(() => null)
    await expect.poll(consoleOf).toEqual({ host: HOST, port: 5900 })
  })

  test('is logged once for an unparseable line of the list, and for a missing state', async () => {
    await using one = await benchWith(other)
    await one.virsh.print('list', `${ID} 1 web-1\n${OTHER} 2 nameless in domstats\nsomething else\n`)
    await expect
      .poll(() =>
        one
          .warnings()
          .map(({ msg }) => msg)
          .toSorted(),
      )
      .toEqual(['cannot parse some lines of virsh list', 'virsh domstats omits a domain, ignoring the domain'])
    const calls = (await one.virsh.calls()).length
    await expect.poll(async () => (await one.virsh.calls()).length).toBeGreaterThan(calls + 8)
    expect(one.warnings()).toHaveLength(2)
  })
})

describe('domain XML', () => {
  const reach = createReach(HOST, {
    console_hosts: ['192.0.2.7', '192.168.122.0/24'],
    console_ports: '5900-65535',
    console_sockets: ['/run/oriel/*.sock', '/var/lib/libvirt/qemu/domain-*/vnc.sock'],
  })
  const read = (devices: string) => readDomainXml(domainXmlOf(ID, devices), reach)

  test.each([
    ['everywhere', VNC, { host: HOST, port: 5900 }],
    ['on loopback', VNC.replaceAll('0.0.0.0', '127.0.0.1'), { host: HOST, port: 5900 }],
    ['on another address', VNC.replaceAll('0.0.0.0', '192.0.2.7'), { host: '192.0.2.7', port: 5900 }],
    [
      'on a network',
      "<graphics type='vnc' port='5900'><listen type='network' network='a' address='192.168.122.1'/></graphics>",
      { host: '192.168.122.1', port: 5900 },
    ],
    [
      'without a listen element',
      "<graphics type='vnc' port='5901' listen='192.0.2.7'/>",
      { host: '192.0.2.7', port: 5901 },
    ],
    ['where libvirt decides', "<graphics type='vnc' port='5901'/>", { host: HOST, port: 5901 }],
    [
      'on a socket first, then on an address',
      "<graphics type='vnc' port='5902'><listen type='socket' socket='/s'/><listen type='address' address='192.0.2.7'/></graphics>",
      { host: '192.0.2.7', port: 5902 },
    ],
    [
      'on a listed Unix socket, as libvirt 9 writes it',
      "<graphics type='vnc' socket='/var/lib/libvirt/qemu/domain-1-web/vnc.sock'><listen type='socket' socket='/var/lib/libvirt/qemu/domain-1-web/vnc.sock'/></graphics>",
      { host: 'unix:/var/lib/libvirt/qemu/domain-1-web/vnc.sock', port: null },
    ],
    [
      'on an address rather than on a listed Unix socket',
      "<graphics type='vnc' port='5902'><listen type='socket' socket='/run/oriel/a.sock'/><listen type='address' address='192.0.2.7'/></graphics>",
      { host: '192.0.2.7', port: 5902 },
    ],
    [
      'on the second device only',
      `<graphics type='vnc'><listen type='none'/></graphics>${VNC}`,
      { host: HOST, port: 5900 },
    ],
  ])('has VNC %s', (_, devices, address) => {
    expect(read(devices).consoles).toEqual({ vnc: address })
  })

  test.each([
    [
      'on a socket',
      "<graphics type='vnc' port='-1'><listen type='socket' socket='/run/vnc.sock'/></graphics>",
      'the Unix socket /run/vnc.sock is not in console_sockets',
    ],
    [
      'on a socket of another folder by ..',
      "<graphics type='vnc'><listen type='socket' socket='/run/oriel/../docker.sock'/></graphics>",
      'it listens on /run/oriel/../docker.sock',
    ],
    [
      'on a socket that has no path yet',
      "<graphics type='vnc'><listen type='socket'/></graphics>",
      'it listens on a Unix socket',
    ],
    ['on nothing', "<graphics type='vnc' port='5900'><listen type='none'/></graphics>", 'it listens on a none'],
    [
      'at no port yet',
      "<graphics type='vnc' port='-1' autoport='yes'><listen type='address' address='0.0.0.0'/></graphics>",
      'it has no port',
    ],
    [
      'on a network without an address',
      "<graphics type='vnc' port='5900'><listen type='network' network='a'/></graphics>",
      'libvirt does not say which address of its network',
    ],
    [
      'at what is no host',
      "<graphics type='vnc' port='5900'><listen type='address' address='a b'/></graphics>",
      'it listens on a b',
    ],
  ])('has no VNC %s', (_, devices, why) => {
    expect(read(devices)).toMatchObject({ consoles: {}, unreachable: { vnc: why } })
  })

  test.each([
    ['the metadata service', '169.254.169.254', 5900, '169.254.169.254 is neither the host of this source'],
    ['a name of another machine', 'db.example', 5900, 'db.example is neither the host of this source'],
    ['an address as one number', '2852039166', 5900, '2852039166 is neither the host of this source'],
    ['a port of another program', '0.0.0.0', 22, 'port 22 is not in console_ports (5900-65535)'],
  ])('that names %s is refused', (_, address, port, why) => {
    const listen = `<listen type='address' address='${address}'/>`
    for (const type of ['vnc', 'spice']) {
      const graphics = `<graphics type='${type}' port='${port}'>${listen}</graphics>`
      expect(read(graphics)).toMatchObject({ consoles: {}, unreachable: { [type]: expect.stringContaining(why) } })
    }
    const tls = `<graphics type='spice' port='5900' tlsPort='${port}'>${listen}</graphics>`
    expect(read(tls)).toMatchObject({ consoles: {}, unreachable: { spice: expect.stringContaining(why) } })
    const serial = `<serial type='tcp'><source mode='bind' host='${address}' service='${port}'/><protocol type='raw'/></serial>`
    expect(read(serial)).toMatchObject({ consoles: {}, unreachable: { serial: expect.stringContaining(why) } })
  })

  test('has the TLS port of SPICE, with or without a plain port', () => {
    const spice = (ports: string) =>
      read(`<graphics type='spice' ${ports}><listen type='address' address='0.0.0.0'/></graphics>`)
    expect(spice("port='5901' tlsPort='5902'").consoles.spice).toEqual({ host: HOST, port: 5901, tlsPort: 5902 })
    expect(spice("tlsPort='5902'").consoles.spice).toEqual({ host: HOST, port: null, tlsPort: 5902 })
  })

  const serial = (changes: (xml: string) => string = (xml) => xml) =>
    changes(
      "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='10012' tls='no'/><protocol type='raw'/></serial>",
    )
  test.each([
    ['a port', serial(), { host: HOST, port: 10012 }],
    [
      'the first that listens',
      `<serial type='pty'/>${serial((xml) => xml.replace('bind', 'connect'))}${serial((xml) => xml.replace('10012', '10013'))}`,
      { host: HOST, port: 10013 },
    ],
    ['a console of virtio', serial((xml) => xml.replaceAll('serial', 'console')), { host: HOST, port: 10012 }],
    [
      'a listed Unix socket',
      "<serial type='unix'><source mode='bind' path='/run/oriel/a.sock'/><target type='isa-serial' port='0'/></serial>",
      { host: 'unix:/run/oriel/a.sock', port: null },
    ],
    [
      'the first that may be dialled',
      `<serial type='unix'><source mode='bind' path='/run/other.sock'/></serial>${serial()}`,
      { host: HOST, port: 10012 },
    ],
  ])('has a serial port: %s', (_, devices, address) => {
    expect(read(devices).consoles).toEqual({ serial: address })
  })

  test.each([
    ['telnet', serial((xml) => xml.replace('raw', 'telnet')), 'it speaks telnet'],
    ['TLS', serial((xml) => xml.replace("tls='no'", "tls='yes'")), 'it speaks TLS'],
    ['connecting out', serial((xml) => xml.replace('bind', 'connect')), 'it connects out instead of listening'],
    [
      'an unlisted Unix socket',
      "<serial type='unix'><source mode='bind' path='/run/docker.sock'/></serial>",
      'the Unix socket /run/docker.sock is not in console_sockets',
    ],
    [
      'a Unix socket that it connects to',
      "<serial type='unix'><source mode='connect' path='/run/oriel/a.sock'/></serial>",
      'it connects out instead of listening',
    ],
    ['a malformed port', serial((xml) => xml.replace('10012', 'ssh')), 'it has no address'],
  ])('has no serial port with %s', (_, devices, why) => {
    expect(read(devices)).toMatchObject({ consoles: {}, unreachable: { serial: why } })
  })

  test('without devices has no console, and without an id does not run', () => {
    expect(readDomainXml(`<domain type='test'><uuid>${ID.toUpperCase()}</uuid></domain>`, reach)).toEqual({
      uuid: ID,
      running: false,
      consoles: {},
      unreachable: {},
    })
  })

  test('is ignored in metadata and descriptions', () => {
    const deep = `${'<a>'.repeat(500)}${'</a>'.repeat(500)}`
    const inside = `<metadata>${deep}<devices>${VNC}</devices></metadata><description>${VNC.replaceAll('<', '&lt;')}</description>`
    const xml = domainXmlOf(ID, '').replace('<devices>', `${inside}<devices>`)
    expect(readDomainXml(xml, reach).consoles).toEqual({})
  })

  test.each([
    ['its own entity', `<!DOCTYPE d [<!ENTITY a "0.0.0.0">]>${domainXmlOf(ID, VNC)}`],
    ['a file as entity', `<!doctype d [<!ENTITY a SYSTEM "file:///etc/passwd">]>${domainXmlOf(ID, VNC)}`],
    ['a megabyte', domainXmlOf(ID, VNC) + ' '.repeat(MAX_XML_CHARACTERS)],
    ['nothing', ''],
    ['another document', '<pool><uuid>x</uuid></pool>'],
    ['a tower of elements', '<a>'.repeat(100_000)],
  ])('is refused with %s', (_, xml) => {
    expect(() => readDomainXml(xml, reach)).toThrow()
  })

  test('may have element names of Object.prototype', () => {
    const xml = domainXmlOf(ID, `<__proto__ polluted='yes'/><constructor/>${VNC}`)
    try {
      expect(readDomainXml(xml, reach).consoles).toEqual({ vnc: { host: HOST, port: 5900 } })
    } catch (error) {
      expect(error).toBeInstanceOf(Error) // refusing is right as well
    }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('domain states', () => {
  test('beyond the tables are unknown, or have the plain state', () => {
    for (const state of [-1, 8, 99, Number.NaN]) expect(domainState(state, 0)).toBe(domainStates.unknown)
    expect(domainState(3, 99)).toBe(domainStates.paused)
    expect(domainState(5, 99)).toBe(domainStates.shutoff)
  })

  test('are all in the documentation', async () => {
    const docs = await readFile(new URL('../../../../../docs/sources.md', import.meta.url), 'utf8')
    const { paused: _, shutoff: __, ...plain } = domainStates
    const rows = [
      ...Object.entries(plain).map(([state, meaning]) => [`\`${state}\``, meaning] as const),
      ...pausedReasons.map((meaning, reason) => [`\`paused\`, ${reason}`, meaning] as const),
      ...shutoffReasons.map((meaning, reason) => [`\`shutoff\`, ${reason}`, meaning] as const),
    ]
    for (const [state, { vmState, taskState, reason }] of rows) {
      expect(docs).toContain(`| ${state} | \`${vmState}\` | ${taskState ? `\`${taskState}\` ` : ''}| ${reason} |`)
    }
  })
})
