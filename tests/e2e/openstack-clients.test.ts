/**
 * Runs OpenStack's unmodified command-line clients against the API with a real Keystone. Compares their output with
 * that of the same versions against a real Nova (`client-flows.json` among the recordings).
 */
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort, requirement, requires, temporaryFolder } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findCommand, forkCommands, type Printed } from './parts/forked-commands.ts'
import { KEYSTONE_HOOK_MS, startKeystone } from './parts/keystone.ts'
import { apiConfig, listening, startApp } from './parts/oriel.ts'

interface Flow {
  readonly name: string
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

const { skip, reason } = requires('keystone', 'openstack client')
const nova = requirement('nova', findCommand('nova') !== undefined, 'run tests/install-debian-packages')
const recordings = new URL('../conformance/vectors/client-flows.json', import.meta.url)
const flows = (JSON.parse(await readFile(recordings, 'utf8')) as Flow[]).map(asOrielDecided)
const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const unknownId = '00000000-0000-4000-8000-000000000000'
const log = 'FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE'
/** Long, because a test may wait for the commands of other tests. */
const testTimeoutMs = 600_000

describe.skipIf(skip)(`OpenStack's clients${reason}`, { concurrent: true, timeout: testTimeoutMs }, () => {
  const parts = new AsyncDisposableStack()
  let world: World

  beforeAll(async () => {
    world = parts.use(await startWorld())
  }, KEYSTONE_HOOK_MS)
  afterAll(() => parts.disposeAsync())

  it.for(openstackFlows())('%s prints the same as against Nova', async ([, flow, args]) => {
    expect(await world.run('openstack', args)).toEqual(normalised(flow))
  })

  it.for(openstackFlows().filter(([name]) => /^openstack console url show --\w+$/.test(name)))(
    '%s accepts the name of the server instead of its id',
    async ([, flow, args]) => {
      expect(await world.run('openstack', [...args.slice(0, -1), 'web-1'])).toEqual(normalised(flow))
    },
  )

  it.for(['server list', 'server list --no-name-lookup'])(
    'openstack %s shows the servers of the project',
    async (command) => {
      const { stdout, stderr } = await world.run('openstack', [...command.split(' '), '-f', 'json'])
      expect(stderr).toBe('')
      const common = { ID: '{{server_id}}', Name: 'web-1', Status: 'ACTIVE', Networks: {} }
      expect(JSON.parse(stdout)).toEqual([{ ...common, Image: 'N/A (booted from volume)', Flavor: expect.any(String) }])
    },
  )

  it('openstack server show finds a server by its name', async () => {
    const { stdout, stderr } = await world.run('openstack', ['server', 'show', 'web-1', '-f', 'json'])
    expect(stderr).toBe('')
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(JSON.parse(stdout)).toEqual({
      ...{ id: '{{server_id}}', name: 'web-1', project_id: world.project, user_id: '', status: 'ACTIVE' },
      ...{ created: time, updated: time, hostId: expect.stringMatching(/^[0-9a-f]{56}$/) },
      ...{ addresses: {}, properties: {}, volumes_attached: [], accessIPv4: '', accessIPv6: '', config_drive: '' },
      ...{ flavor: 'unknown', image: 'N/A (booted from volume)', key_name: null },
      'OS-DCF:diskConfig': 'MANUAL',
      'OS-EXT-AZ:availability_zone': '',
      'OS-EXT-STS:power_state': 1,
      'OS-EXT-STS:task_state': null,
      'OS-EXT-STS:vm_state': 'active',
      'OS-SRV-USG:launched_at': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.0{6}$/),
      'OS-SRV-USG:terminated_at': null,
    })
  })

  it.skipIf(nova.skip)(`nova list and nova show find the server${nova.reason}`, async () => {
    const rule = '+--+--+--+--+--+--+'
    const heads = '| ID | Name | Status | Task State | Power State | Networks |'
    const row = '| {{server_id}} | web-1 | ACTIVE | - | Running | |'
    const list = [rule, heads, rule, row, rule].join('\n')
    expect(await world.run('nova', ['list'])).toEqual({ exit: 0, stdout: list, stderr: '' })
    const { exit, stdout, stderr } = await world.run('nova', ['show', 'web-1'])
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    const facts = ['id | {{server_id}}', 'name | web-1', 'status | ACTIVE', `tenant_id | ${world.project}`]
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(facts.map((fact) => `| ${fact} |`)))
  })

  it.skipIf(nova.skip).for(novaFlows())(
    `%s prints the result that its library gets from Nova${nova.reason}`,
    async ([, flow, args]) => {
      const { exit, stdout, stderr } = await world.run('nova', args)
      expect({ exit, stdout, stderr }).toEqual(normalised(asNovaCommand(flow)))
    },
  )
})

// The recordings

/** Returns the recorded flows with their names, `openstack COMMAND OPTIONS @VERSION`, and their arguments. */
function openstackFlows(): [string, Flow, string[]][] {
  return flows
    .filter(({ name }) => name.startsWith('openstack '))
    .map((flow) => {
      const words = flow.name.replace(' (unknown server)', '').split(/\s+/).slice(1).filter(Boolean)
      const pinned = words.at(-1)?.startsWith('@') ? ['--os-compute-api-version', words.pop()!.slice(1)] : []
      const server = flow.name.includes('(unknown server)') ? unknownId : id
      const option = flow.name.includes('(unknown server)') ? ['--novnc'] : []
      return [flow.name, flow, [...pinned, ...words, ...option, server]]
    })
}

const novaCommands: Readonly<Record<string, readonly string[]>> = {
  novnc: ['get-vnc-console', id, 'novnc'],
  xvpvnc: ['get-vnc-console', id, 'xvpvnc'],
  'spice-html5': ['get-spice-console', id, 'spice-html5'],
  serial: ['get-serial-console', id],
  webmks: ['get-mks-console', id],
  'rdp-html5': ['get-rdp-console', id, 'rdp-html5'],
  log: ['console-log', id],
  log2: ['console-log', '--length', '2', id],
}

/** Returns the flows of novaclient's library, as `nova` commands. The command's default version is 2.93, its newest. */
function novaFlows(): [string, Flow, string[]][] {
  return flows.flatMap((flow) => {
    const [, what = '', version] = /^novaclient library (\S+) @(2\.1|2\.5|2\.93)$/.exec(flow.name) ?? []
    const command = novaCommands[what]
    // Below 2.8 the command get-mks-console does not exist.
    if (!command || (what === 'webmks' && version !== '2.93')) return []
    const args = [...(version === '2.93' ? [] : ['--os-compute-api-version', version!]), ...command]
    return [[`nova ${args.join(' ')}`, flow, args]]
  })
}

/** Converts a flow of the library to the command's output: a table of the result, or the class of the error. */
function asNovaCommand({ name, exit, stdout, stderr }: Flow): Flow {
  const [, type, url] = /'type': '([^']+)', 'url': '([^']+)'/.exec(stdout) ?? []
  const [, error, message] = /^novaclient\.exceptions\.(\w+): (.*)$/s.exec(stderr) ?? []
  const rule = '+--+--+\n'
  const table = `${rule}| Type | Url |\n${rule}| ${type} | ${url} |\n${rule}`
  const isLog = name.includes(' log')
  return {
    ...{ name, exit },
    stdout: type ? table : isLog ? `${stdout.trimEnd()}\n` : '',
    stderr: error ? `ERROR (${error}): ${message}\n` : '',
  }
}

/** Replaces the message where Oriel deliberately differs from Nova (D1, D7), and adds the server to URLs (F15). */
function asOrielDecided(flow: Flow): Flow {
  const isXvp = flow.name.includes('xvpvnc')
  const couldNotComply =
    /The server could not comply with the request since it is either malformed or otherwise incorrect\./
  const stderr = flow.stderr
    .replace(couldNotComply, 'Unavailable console type rdp.')
    .replace(
      /HttpException: 500: Server Error (.*?), .*/s,
      'BadRequestException: 400: Client Error $1, Invalid console type xvpvnc\n',
    )
    .replace(
      /^<class 'nova\.exception\.ConsoleTypeInvalid'> \(HTTP 500\)/,
      'novaclient.exceptions.BadRequest: Invalid console type xvpvnc (HTTP 400)',
    )
  const stdout = flow.stdout
    .replace('?token=', '?server={{server_id}}&token=')
    .replace('%3Ftoken%3D', '%3Fserver%3D{{server_id}}%26token%3D')
  return isXvp || couldNotComply.test(flow.stderr) ? { ...flow, stdout, stderr } : { ...flow, stdout }
}

/** Replaces values that differ between runs by names, and removes the padding of tables. */
function normalised({ exit, stdout, stderr }: Printed, origin = '{{url_base}}'): Printed {
  const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
  const plain = (text: string) =>
    text
      .replaceAll(origin, '{{url_base}}')
      .replaceAll(id, '{{server_id}}')
      .replaceAll(new RegExp(`req-${uuid}`, 'g'), '{{request_id}}')
      .replaceAll(new RegExp(`(token(?:=|%3D))${uuid}`, 'g'), '$1{{token}}')
      .replaceAll(/^nova CLI is deprecated .*\n/gm, '')
      .replaceAll(/-{2,}/g, '--')
      .replaceAll(/ +/g, ' ')
      .trim()
  return { exit, stdout: plain(stdout), stderr: plain(stderr) }
}

// The cloud for the clients

type World = Awaited<ReturnType<typeof startWorld>>

async function startWorld() {
  await using scope = new AsyncDisposableStack()
  const keystone = scope.use(await startKeystone())
  const home = scope.use(await temporaryFolder())
  const project = await keystone.createProject('blue')
  const serviceProject = await keystone.createProject('service')
  const member = await keystone.createUser('ada', project, 'member')
  const service = await keystone.createUser('oriel', serviceProject, 'service')
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  await keystone.registerCompute(`${origin}/v2.1`)
  await keystone.registerService('image', 'glance', scope.use(await startEmptyGlance()).url)
  const { authUrl: auth_url } = keystone
  const auth = {
    method: 'keystone',
    keystone: {
      ...{ auth_url, username: service.name, password: service.password, project_name: 'service' },
      // Keystone handles one request at a time, and the clients use all processors.
      timeout_ms: 30_000,
    },
  }
  const api = scope.use(
    await startApp('api', { ...apiConfig(port, 6080, [await serverIn(home.path, project)]), auth, consoles }),
  )
  await listening(api)
  const env = { PATH: process.env.PATH, HOME: home.path, LANG: 'C.UTF-8', ...keystone.environment(member, 'blue') }
  const clients = scope.use(await forkCommands(nova.skip ? ['openstack'] : ['openstack', 'nova'], env, 2))
  const rest = scope.move()
  return {
    project,
    /** Runs a client as the member ada. */
    run: async (command: string, args: readonly string[]) => normalised(await clients.run(command, args), origin),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** Starts an image service without images: `openstack server list` fails in a cloud without an image service. */
async function startEmptyGlance() {
  const server = createServer(({ url = '' }, response) => {
    const versions = [{ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `http://127.0.0.1:${port}/v2/` }] }]
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(url.startsWith('/v2/images') ? { images: [] } : { versions }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** The console types with the base URLs of the recorded Nova. */
const consoles = {
  novnc: { base_url: 'http://127.0.0.1:6080/vnc_auto.html' },
  'spice-html5': { base_url: 'http://127.0.0.1:6082/spice_auto.html' },
  serial: { base_url: 'ws://127.0.0.1:6083/' },
  webmks: { enabled: true, base_url: 'http://127.0.0.1:6090/' },
}

async function serverIn(folder: string, projectId: string) {
  const console_log = `${folder}/console.log`
  await writeFile(console_log, log)
  const at = (port: number) => ({ host: '127.0.0.1', port })
  const ports = { vnc: at(5901), spice: at(5902), serial: at(10001), mks: at(902) }
  return { id, name: 'web-1', project_id: projectId, console_log, consoles: ports }
}
