/** The programs of docs/recipes.md with a real Linux in a real QEMU, through a real proxy. */
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openScreen } from '@oriel/console'
import {
  decodePng,
  freePort,
  type RunningProgram,
  requires,
  type TemporaryFolder,
  temporaryFolder,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cliFile, type RunningCli, startExample } from './parts/cli.ts'
import { type Gate, startGate } from './parts/gate.ts'
import { GRUB_ENTRIES } from './parts/grub-disk.ts'
import { type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { apiConfig, MEMBER_TOKEN, merge, startApp } from './parts/oriel.ts'
import { clientOf } from './parts/sessions.ts'

const qemu = requires('qemu')
const linux = requiresLinux()
const recipes = join(import.meta.dirname, 'recipes')
const [id, offId, brokenId] = [1, 2, 3].map((n) => `52b2e44e-e561-464c-88f3-2fc6a1ecea2${n}`) as [
  string,
  string,
  string,
]
const PASSWORD = 'corr3ct horse'
const GAP = '\r\n[oriel: the port was closed; output may be missing here]\r\n'

describe.skipIf(qemu.skip || linux.skip)(`the recipes${qemu.reason}${linux.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let folder: TemporaryFolder
  let guest: LinuxGuest
  let oriel: RunningProgram
  let apiPort: number
  let gate: Gate
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    folder = parts.use(await temporaryFolder())
    guest = parts.use(await startLinux({ name: 'web-1', boot: 'grub-text', menu: true, serial: true, tty1: 'install' }))
    const port = await freePort()
    gate = parts.use(await startGate(port))
    const [vnc, serial] = [guest.vncPort!, guest.serialPort!].map((port) => ({ host: '127.0.0.1', port }))
    const servers = [
      { id, name: 'web-1', consoles: { vnc, serial } },
      { id: offId, name: 'off-1', status: 'SHUTOFF', consoles: { vnc } },
      { id: brokenId, name: 'broken-1', consoles: { vnc: { host: '127.0.0.1', port: await freePort() } } },
    ]
    const consoles = {
      novnc: { base_url: `http://127.0.0.1:${port}/novnc/vnc_lite.html` },
      serial: { base_url: `ws://127.0.0.1:${gate.port}/serial/` },
    }
    const proxy = { listen: [{ address: `127.0.0.1:${port}`, consoles: ['novnc', 'serial'] }] }
    apiPort = await freePort()
    oriel = parts.use(await startApp('oriel', { api: merge(apiConfig(apiPort, port, servers), { consoles }), proxy }))
    await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
    env = await signedIn()
  })
  afterAll(() => parts.disposeAsync())

  const file = (name: string) => join(folder.path, name)

  /** Writes a clouds.yaml, and a command `oriel` for PATH. */
  async function signedIn(): Promise<NodeJS.ProcessEnv> {
    const auth = { endpoint: `http://127.0.0.1:${apiPort}/v2.1`, token: MEMBER_TOKEN }
    await writeFile(file('clouds.json'), JSON.stringify({ clouds: { prod: { auth_type: 'admin_token', auth } } }))
    await writeFile(file('oriel'), `#!/bin/sh\nexec ${process.execPath} ${cliFile} "$@"\n`)
    await chmod(file('oriel'), 0o755)
    const signIn = { OS_CLOUD: 'prod', OS_CLIENT_CONFIG_FILE: file('clouds.json') }
    return { ...signIn, PATH: `${folder.path}:${process.env.PATH}`, ROOT_PASSWORD: PASSWORD }
  }

  const start = (name: string, ...args: string[]): RunningCli =>
    startExample(name.endsWith('.sh') ? 'sh' : process.execPath, [name, ...args], recipes, env)
  const run = async (name: string, ...args: string[]) => {
    await using program = start(name, ...args)
    return await program.result
  }

  it('grub.ts starts an entry of the menu', async () => {
    const entry = GRUB_ENTRIES[1]
    expect(await run('grub.ts', id, entry)).toEqual({ code: 0, stdout: `started ${entry}\n`, stderr: '' })
    expect(await guest.run('cat /proc/cmdline')).toMatch(/ single$/m)
    expect(await guest.run('stty -F /dev/tty1 size')).toBe('25 80\n')
  })

  it('install.ts answers an installer up to the login prompt', async () => {
    const { code, stdout, stderr } = await run('install.ts', id)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^(answered .*\n){3}installed\n$/)
    expect(stdout).not.toContain(PASSWORD)
    expect(await guest.run('hostname')).toBe('web-1\n')
  })

  it('install.oriel answers it as well', async () => {
    await using screen = await openScreen(clientOf(apiPort, MEMBER_TOKEN), id)
    await screen.type('root\n')
    await screen.waitForText(/Password:$/m)
    await screen.type(`${PASSWORD}\n`)
    await screen.waitForText(/^guest#$/m)
    await screen.type('hostname none; exec /install\n')
    await using program = startExample('oriel', ['run', 'web-1', 'install.oriel'], recipes, env)
    expect(await program.result).toMatchObject({ code: 0, stdout: '', stderr: expect.not.stringContaining(PASSWORD) })
    expect(await guest.run('hostname')).toBe('web-1\n')
  })

  it('mcp-client.ts looks at the screen through the server of mcp.json', async () => {
    const { code, stdout } = await run('mcp-client.ts', 'web-1', file('screen.png'))
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^Found: login:\nOn the screen is:\n[\s\S]*web-1 login:\nThe screen of web-1, 720×400 pixels\.\n$/,
    )
    expect(decodePng(await readFile(file('screen.png')))).toMatchObject({ width: 720, height: 400 })
  })

  it.each([
    { name: 'thumbnails.ts', code: 1, size: { width: 180, height: 100 } },
    { name: 'thumbnails.sh', code: 0, size: { width: 720, height: 400 } },
  ])('$name writes a picture of each server that has one, and names the others', async ({ name, code, size }) => {
    const result = await run(name, folder.path)
    expect(result).toMatchObject({
      code,
      stdout: `web-1 is in ${id}.png\noff-1 is off: SHUTOFF\n`,
      stderr: expect.stringContaining('The console of this machine cannot be reached. Is the machine running?'),
    })
    expect(decodePng(await readFile(file(`${id}.png`)))).toMatchObject(size)
  })

  /** Resolves once so many serial consoles have been opened. */
  const serialSessions = (count: number) => {
    const opened = () => oriel.records.filter(({ msg, type }) => msg === 'session opened' && type === 'serial')
    return oriel.waitForLog((record) => record === opened()[count - 1])
  }

  it('serial-log.ts and serial-log.sh log each line once over a broken connection, and mark what is lost', async () => {
    await using program = start('serial-log.ts', id, file('program.log'))
    await using command = start('serial-log.sh', 'web-1', file('command.log'))
    await serialSessions(2)
    await guest.run('seq 1 2000 | sed "s/^/line /" >/dev/ttyS0')
    const logs = () => Promise.all(['program.log', 'command.log'].map((name) => readFile(file(name), 'utf8')))
    await expect.poll(logs).toEqual([expect.stringMatching(/line 2000\r\n$/), expect.stringMatching(/line 2000\r\n$/)])
    gate.cut()
    await serialSessions(4)
    await guest.run('seq 2001 4000 | sed "s/^/line /" >/dev/ttyS0')
    await expect.poll(logs).toEqual([expect.stringMatching(/line 4000\r\n$/), expect.stringMatching(/line 4000\r\n$/)])
    const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}\r\n`)
    const expected = lines(1, 2000).join('') + GAP + lines(2001, 4000).join('')
    for (const log of await logs()) expect(log.slice(log.indexOf('line 1\r'))).toBe(expected)
    for (const { result, kill } of [program, command]) {
      kill('SIGTERM')
      await result
    }
  })
})
