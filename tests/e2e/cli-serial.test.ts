/** `oriel serial` in a real pseudo-terminal and in pipes, through a real proxy. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  freePort,
  type RunningProgram,
  requirement,
  requires,
  scriptedServer,
  startProgram,
  startQemu,
  type TemporaryFolder,
  temporaryFolder,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, startCli, startInTerminal } from './parts/cli.ts'
import { MEMBER_TOKEN, programFile, startPair } from './parts/oriel.ts'

const terminal = requirement('script', existsSync('/usr/bin/script'), 'install the package bsdutils')
const LEAVE = '\u001d'

describe.skipIf(terminal.skip)(`oriel serial with the demo guest${terminal.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let folder: TemporaryFolder
  let demo: RunningProgram
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    folder = parts.use(await temporaryFolder())
    const [apiPort, proxyPort] = [await freePort(), await freePort()]
    const ports = {
      ORIEL_API__LISTEN: `127.0.0.1:${apiPort}`,
      ORIEL_PROXY__LISTEN__0__ADDRESS: `127.0.0.1:${proxyPort}`,
    }
    demo = parts.use(await startProgram({ file: programFile('oriel'), args: ['--demo'], env: ports, cwd: folder.path }))
    await demo.waitForLog(({ msg }) => String(msg).startsWith('open '))
    env = { ORIEL_ENDPOINT: `http://127.0.0.1:${apiPort}/v2.1` }
  })
  afterAll(() => parts.disposeAsync())

  const file = (name: string) => join(folder.path, name)
  /** Runs the command between two looks at the settings of the terminal. */
  const inTerminal = (command: string) =>
    startInTerminal(`stty -a >${file('before')}; ${command}; echo code=$?; stty -a >${file('after')}`, env)
  const expectRestored = async () =>
    expect(await readFile(file('after'), 'utf8')).toBe(await readFile(file('before'), 'utf8'))

  it('types into the guest, sends Ctrl-C to it, shows help, and leaves by ~. with the terminal restored', async () => {
    await using oriel = inTerminal(`$oriel serial demo --log ${file('log')}`)
    await oriel.prints(/stty rows 30 cols 100[\s\S]*demo\$/)
    oriel.type('hostname\r')
    await oriel.prints(/hostname\r\ndemo\r\n/)
    oriel.type('wrong\u0003')
    await oriel.prints(/\^C\r\n/)
    oriel.type('\r~?')
    await oriel.prints(/You are at the serial console of demo\. After Enter:/)
    oriel.type('~')
    oriel.type('.')
    expect((await oriel.result).stdout).toContain('code=0')
    await expectRestored()
    expect(await readFile(file('log'), 'utf8')).toMatch(/hostname\r\ndemo\r\n/)
    expect((await stat(file('log'))).mode & 0o777).toBe(0o600)
  })

  it('leaves by Ctrl-] inside a line', async () => {
    await using oriel = inTerminal('$oriel serial demo')
    await oriel.prints(/demo\$/)
    oriel.type(`half a line${LEAVE}`)
    expect((await oriel.result).stdout).toContain('code=0')
    await expectRestored()
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('restores the terminal after %s', async (signal, code) => {
    await using oriel = inTerminal(`sh -c 'echo $$ >${file('pid')}; exec $oriel serial demo'`)
    await oriel.prints(/demo\$/)
    process.kill(Number(await readFile(file('pid'), 'utf8')), signal)
    expect((await oriel.result).stdout).toContain(`code=${code}`)
    await expectRestored()
  })

  it('pipes input in and output out', async () => {
    const { code, stdout, stderr } = await runCli(['serial', 'demo', '--linger', '0.5'], { env, input: 'hostname\n' })
    expect(stdout).toMatch(/hostname\r\ndemo\r\n/)
    expect([code, stderr]).toEqual([0, 'oriel: connected to demo.\n'])
  })

  it('sends the keys that leave to the guest if they are piped', async () => {
    const { stdout } = await runCli(['serial', 'demo', '--linger', '0.5'], { env, input: '~.\n' })
    expect(stdout).toContain('~.: not known here')
  })

  it('prints why an operator ended the session, and ends with 1', async () => {
    await using oriel = startCli(['serial', 'demo', '--follow'], { env })
    await oriel.prints(/demo\$/)
    const { stdout } = await runCli(['sessions', '--server', 'demo', '--json'], { env })
    const { sessions } = JSON.parse(stdout)
    // Sessions of earlier tests end with a heartbeat. The newest is first.
    expect(sessions[0]).toMatchObject({ server_name: 'demo', type: 'serial' })
    const end = await runCli(['sessions', 'end', sessions[0].id], { env })
    expect(end).toMatchObject({ code: 0, stderr: expect.stringContaining('is ending') })
    const { code, stderr } = await oriel.result
    expect([code, stderr]).toEqual([
      1,
      'oriel: connected to demo.\noriel: An operator ended this session. Run the command again.\n',
    ])
    const unknown = await runCli(['sessions', 'end', 'nothing'], { env })
    expect(unknown).toMatchObject({ code: 4, stderr: expect.stringContaining('There is no session nothing') })
  })
})

const qemu = requires('qemu')

describe.skipIf(qemu.skip || terminal.skip)(
  `oriel serial with a real QEMU guest${qemu.reason}${terminal.reason}`,
  () => {
    const id = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c02'

    it('shows the firmware, opens its menu with a key, and ends when the machine goes away', async () => {
      await using guest = await startQemu({
        name: 'web-1',
        uuid: id,
        vnc: false,
        serial: true,
        firmware: 'serial',
        paused: true,
      })
      await using pair = await startSerialPair({ host: guest.host, port: guest.serialPort! })
      await using oriel = startInTerminal('$oriel serial web-1; echo code=$?', pair.env)
      await oriel.prints(/connected to web-1/)
      await guest.qmp('cont')
      await oriel.prints(/SeaBIOS[\s\S]*Press ESC for boot menu/)
      oriel.type('\u001b')
      await oriel.prints(/Select boot device:/)
      await guest.qmp('quit').catch(() => {})
      const { stdout } = await oriel.result
      expect(stdout).toMatch(
        /oriel: (The machine closed the console|The connection to the machine broke)[\s\S]*code=[01]/,
      )
    })

    it('shows a line feed of the machine without a carriage return of its own', async () => {
      await using machine = await scriptedServer(async (peer) => {
        await peer.expect(Buffer.from('go'))
        await peer.send(Buffer.from('up\ndown\r\n'))
        await peer.closed({ timeoutMs: 600_000 })
      })
      await using pair = await startSerialPair(machine)
      await using oriel = startInTerminal('$oriel serial web-1', pair.env)
      await oriel.prints(/connected/)
      oriel.type('go')
      await oriel.prints(/up\ndown\r\n/)
      oriel.type(LEAVE)
      await oriel.result
    })

    it('prints the sentence of the proxy if the console cannot be reached', async () => {
      await using pair = await startSerialPair({ host: '127.0.0.1', port: await freePort() })
      const { code, stderr } = await runCli(['serial', 'web-1'], { env: pair.env })
      const sentence = 'The console of this machine cannot be reached. Is the machine running? Run the command again.'
      expect([code, stderr]).toEqual([1, `oriel: ${sentence}\n`])
    })

    it('carries every byte in both directions', async () => {
      await using echo = await scriptedServer(async (peer) => {
        peer.socket.pipe(peer.socket)
        await peer.closed({ timeoutMs: 600_000 })
      })
      await using pair = await startSerialPair(echo)
      const bytes = randomBytes(3_000_000)
      await using oriel = startCli(['serial', 'web-1', '--log', join(pair.folder, 'log')], {
        env: pair.env,
        input: bytes,
      })
      expect((await oriel.result).code).toBe(0)
      expect((await readFile(join(pair.folder, 'log'))).equals(bytes)).toBe(true)
    })

    async function startSerialPair(serial: { host: string; port: number }) {
      await using scope = new AsyncDisposableStack()
      const port = await freePort()
      const pair = scope.use(
        await startPair({
          servers: [{ id, name: 'web-1', consoles: { serial: { host: serial.host, port: serial.port } } }],
          api: { consoles: { serial: { base_url: `ws://127.0.0.1:${port}/` } } },
          proxy: { listen: [{ address: `127.0.0.1:${port}`, consoles: ['serial'] }] },
        }),
      )
      const rest = scope.move()
      return {
        folder: pair.api.folder,
        env: { ORIEL_ENDPOINT: `http://127.0.0.1:${pair.apiPort}/v2.1`, ORIEL_TOKEN: MEMBER_TOKEN },
        [Symbol.asyncDispose]: () => rest.disposeAsync(),
      }
    }
  },
)
