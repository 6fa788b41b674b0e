/** The proxy, and the command oriel, with a stub of Nova that sends only Nova's own fields. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  decodePng,
  freePort,
  type NovaStub,
  type QemuGuest,
  type RunningProgram,
  recordedMicroversions,
  requires,
  scriptedServer,
  startNovaStub,
  startQemu,
  type TemporaryFolder,
  temporaryFolder,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { runCli } from './parts/cli.ts'
import { startMcp } from './parts/mcp.ts'
import { listening, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

describe('the proxy with an unmodified Nova as its authority', () => {
  const parts = new AsyncDisposableStack()
  const token = randomUUID()
  let nova: NovaStub
  let proxy: RunningProgram
  let port: number

  beforeAll(async () => {
    const { host, port: consolePort } = parts.use(await scriptedServer(serveRfb))
    const console = { instance_uuid: randomUUID(), host, port: consolePort, internal_access_path: null }
    nova = parts.use(await startNovaStub({ tokens: { [token]: console }, adminToken: 'service-secret' }))
    port = await freePort()
    const authority = { endpoint: nova.url, auth: { token: 'service-secret' } }
    proxy = parts.use(await startApp('proxy', merge(proxyConfig(nova.port, port), { authority })))
    await listening(proxy)
  })
  afterAll(() => parts.disposeAsync())

  const open = () => new WebSocket(`ws://127.0.0.1:${port}/websockify?token=${token}`, ['binary'])
  const refusedWith = async (socket: WebSocket) => {
    const [, response] = (await once(socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number; headers: object },
    ]
    return response
  }

  it('relays the console of a token that it looks up with the service credential', async () => {
    const socket = open()
    const viewer = await asViewer(socket)
    expect(await viewer.echo(Buffer.from('bytes'))).toEqual(Buffer.from('bytes'))
    socket.terminate()
    const asked = nova.requests.find(({ url }) => url.endsWith(token))!
    expect(asked.url).toBe(`/v2.1/os-console-auth-tokens/${token}`)
    expect(asked.headers).toMatchObject({
      'x-auth-token': 'service-secret',
      'openstack-api-version': `compute ${recordedMicroversions.max}`,
    })
  })

  it('selects no subprotocol for a client that offers none', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/?token=${token}`)
    await asViewer(socket)
    expect(socket.protocol).toBe('')
    socket.terminate()
  })

  it('answers 503 with Retry-After while Nova hangs, resets or fails', async () => {
    for (const behaviour of ['hang', 'reset', 500, 503] as const) {
      nova.behave(behaviour)
      const { statusCode, headers } = await refusedWith(open())
      expect(statusCode, String(behaviour)).toBe(503)
      expect(headers).toHaveProperty('retry-after')
    }
  })
})

const qemu = requires('qemu')

describe.skipIf(qemu.skip)(`the command oriel with an unmodified Nova${qemu.reason}`, () => {
  const parts = new AsyncDisposableStack()
  const [id, stoppedId] = [randomUUID(), randomUUID()]
  const instanceName = 'instance-00000001'
  let guest: QemuGuest
  let folder: TemporaryFolder
  let env: Record<string, string>

  beforeAll(async () => {
    folder = parts.use(await temporaryFolder())
    guest = parts.use(await startQemu({ name: instanceName, uuid: id, firmware: 'serial', serial: true }))
    const address = (port: number | undefined) => ({ host: guest.host, port: port! })
    const consoles = { novnc: address(guest.vncPort), serial: address(guest.serialPort) }
    const proxyPort = await freePort()
    const origin = `127.0.0.1:${proxyPort}`
    const nova = parts.use(
      await startNovaStub({
        tokens: {},
        adminToken: 'service-secret',
        servers: {
          [id]: { name: 'web-1', instanceName, consoles },
          [stoppedId]: { name: 'web-2', consoles: { novnc: 409 } },
        },
        baseUrls: { novnc: `http://${origin}/novnc/vnc_lite.html`, serial: `ws://${origin}/serial/` },
        memberToken: 'member-secret',
      }),
    )
    const config = merge(proxyConfig(nova.port, proxyPort), {
      authority: { endpoint: nova.url, auth: { token: 'service-secret' } },
      listen: [{ address: origin, consoles: ['novnc', 'serial'] }],
      hypervisor: { identity: 'enforce' },
    })
    await listening(parts.use(await startApp('proxy', config)))
    env = { ORIEL_ENDPOINT: nova.url, ORIEL_TOKEN: 'service-secret' }
  })
  afterAll(() => parts.disposeAsync())

  const oriel = (...args: string[]) => runCli(args, { env })

  it('waits for the firmware, answers it on the serial console, and types at its menu', async () => {
    const prompt = await oriel('wait', 'web-1', '--text', 'Press ESC for boot menu')
    expect(prompt).toEqual({ code: 0, stdout: 'Press ESC for boot menu\n', stderr: '' })
    const serial = await runCli(['serial', id, '--linger', '1'], { env, input: '\u001b' })
    expect(serial).toMatchObject({ code: 0, stderr: 'oriel: connected to web-1.\n' })
    expect(serial.stdout).toContain('Select boot device:')
    expect(await oriel('wait', 'web-1', '--text', 'Select boot (device):', '--json')).toMatchObject({ code: 0 })
    const file = join(folder.path, 'menu.png')
    const { code, stdout } = await oriel('screenshot', 'web-1', '--text', '--json', '-o', file)
    const { width, height } = decodePng(await readFile(file))
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      { server: { id, name: 'web-1' }, width, height, file, text: expect.stringContaining('Select boot device:') },
    ])
    expect(await guest.screendump()).toMatchObject({ width, height })
    expect(await oriel('type', 'web-1', '1')).toEqual({ code: 0, stdout: '', stderr: '' })
    expect((await oriel('wait', 'web-1', '--text', 'Booting from')).code).toBe(0)
  })

  it('offers an agent that only reads a usual console, without tools for input', async () => {
    await using mcp = await startMcp(['--read-only'], env)
    const { tools } = await mcp.client.listTools()
    expect(tools.map(({ name }) => name)).not.toContain('type')
    expect(await mcp.call('read_text', { server: 'web-1' })).toMatchObject({
      isError: false,
      text: expect.stringContaining('SeaBIOS'),
    })
    expect(mcp.logged()).toContain('the API has no consoles whose input is dropped; that of web-1 is a usual one')
  })

  it('passes every check of oriel doctor, which names what Nova refuses', async () => {
    const { code, stdout } = await oriel('doctor', 'web-1')
    expect(stdout).toMatch(/^ok +sign-in +the token is accepted; the API is Nova's, without Oriel's extension$/m)
    expect(stdout).toMatch(/^ok +novnc console +the first picture has \d+×\d+ pixels$/m)
    expect(stdout).toMatch(/^ok +serial console +/m)
    expect([code, stdout]).toEqual([0, expect.stringMatching(/ ok, 0 failed, 3 skipped\.$/m)])
    const stopped = await oriel('doctor', 'web-2', '--type', 'novnc')
    expect(stopped).toMatchObject({
      code: 6,
      stdout: expect.stringContaining('web-2 is ACTIVE and has no console now'),
    })
    const member = await oriel('doctor', 'web-1', '--type', 'novnc', '--token', 'member-secret')
    expect(member.stdout).toMatch(/^failed +novnc create .*\n +fix \(Nova\): .*os-remote-consoles in policy\.yaml/m)
  })

  it.each([
    [['wait', 'web-1', '--text', 'panic', '--timeout', '0.3'], 3, 'The screen did not show /panic/m within 300 ms. On'],
    [['screenshot', 'web-2', '--text'], 1, 'web-2 has no console now: it is ACTIVE. Start it and try again.'],
    [['serial', 'web-2'], 1, 'web-2 has no console of type serial (Serial): Unavailable console type serial.'],
    [['type', 'web-3', 'x'], 4, 'There is no server web-3 in this project. Did you mean web-1 or web-2?'],
    [
      ['type', 'web-1', 'x', '--token', 'member-secret'],
      5,
      "Policy doesn't allow os_compute_api:os-remote-consoles to be",
    ],
    [['type', 'web-1', 'x', '--token', 'wrong'], 5, 'The request you have made requires authentication'],
    [['sessions'], 1, 'This API has no list of sessions: Oriel'],
  ])('ends %j with exit code %i and a sentence', async (args, code, sentence) => {
    expect(await oriel(...args)).toMatchObject({
      code,
      stdout: '',
      stderr: expect.stringContaining(`oriel: ${sentence}`),
    })
  })
})
