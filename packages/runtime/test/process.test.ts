import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdtempDisposable, readFile, truncate, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { listenOn } from '../src/index.ts'

const fixture = fileURLToPath(new URL('fixtures/program.ts', import.meta.url))

function launch(env: Record<string, string> = {}, ...args: string[]) {
  const child = spawn(process.execPath, [fixture, ...args], { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' })
  const ended = once(child, 'close') as Promise<[number | null, string | null]>
  return { child, ended, stderr: text(child.stderr), [Symbol.dispose]: () => void child.kill('SIGKILL') }
}

/** Whether the port accepts connections. */
async function isAnswered(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const answered = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.on('error', () => {}).destroy()
  return answered
}

/** The first log line with this message. */
async function logged(child: ChildProcess, message: string): Promise<Record<string, unknown>> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const entry = JSON.parse(line)
    if (entry.msg === message) return entry
  }
  throw new Error(`the program ended without saying ${message}`)
}

test.each(['SIGTERM', 'SIGINT'] as const)('a real process logs its address, and exits with 0 on %s', async (signal) => {
  using it = launch({ ORIEL_LISTEN: '127.0.0.1:0' })
  const { address, name, level } = await logged(it.child, 'listening')
  expect([name, level]).toEqual(['oriel-fixture', 'info'])
  expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
  it.child.kill(signal)
  expect(await it.ended).toEqual([0, null])
  expect(await it.stderr).toBe('')
})

test('a real process that cannot reload survives SIGHUP', async () => {
  using it = launch({ ORIEL_LISTEN: '127.0.0.1:0' })
  const lines = createInterface({ input: it.child.stdout })[Symbol.asyncIterator]()
  const next = async () => JSON.parse(String((await lines.next()).value))
  expect(await next()).toMatchObject({ msg: 'listening' })
  it.child.kill('SIGHUP')
  expect(await next()).toMatchObject({ why: 'SIGHUP', msg: expect.stringContaining('cannot reload') })
  it.child.kill('SIGTERM')
  expect(await it.ended).toEqual([0, null])
})

/** Puts a `systemd-notify` into a folder, which writes its arguments and its socket to a file. */
async function fakeNotify(folder: string, exitCode = 0): Promise<string> {
  const file = join(folder, 'systemd-notify')
  await writeFile(file, `#!/bin/sh\necho "$* $NOTIFY_SOCKET" >>${folder}/sent\nexit ${exitCode}\n`, { mode: 0o755 })
  return `${folder}:${process.env.PATH}`
}

test('a real process tells systemd once that it is ready', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-notify-'))
  const PATH = await fakeNotify(folder.path)
  const env = { PATH, NOTIFY_SOCKET: '/run/systemd/notify', ORIEL_LISTEN: '127.0.0.1:0', ORIEL_LOG_LEVEL: 'debug' }
  using it = launch(env)
  await logged(it.child, 'systemd was notified')
  it.child.kill('SIGTERM')
  expect(await it.ended).toEqual([0, null])
  const sent = (await readFile(join(folder.path, 'sent'), 'utf8')).split('\n')
  expect(sent.filter((line) => line.startsWith('READY'))).toEqual(['READY=1 /run/systemd/notify'])
})

test('a real process continues, and says what to do, if systemd-notify fails', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-notify-'))
  using it = launch({ PATH: await fakeNotify(folder.path, 1), NOTIFY_SOCKET: '@x', ORIEL_LISTEN: '127.0.0.1:0' })
  const lines = createInterface({ input: it.child.stdout })[Symbol.asyncIterator]()
  const next = async () => JSON.parse(String((await lines.next()).value))
  const { address } = await next()
  expect(await next()).toMatchObject({ level: 'warn', msg: expect.stringContaining('use Type=exec') })
  expect(await isAnswered(Number(address.split(':')[1]))).toBe(true)
  it.child.kill('SIGTERM')
  expect(await it.ended).toEqual([0, null])
})

test('a real process runs no systemd-notify that systemd did not start', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-notify-'))
  using it = launch({ PATH: await fakeNotify(folder.path), ORIEL_LISTEN: '127.0.0.1:0' })
  await logged(it.child, 'listening')
  it.child.kill('SIGTERM')
  expect(await it.ended).toEqual([0, null])
  expect(existsSync(join(folder.path, 'sent'))).toBe(false)
})

const terminals = existsSync('/usr/bin/script') ? '' : ' (skipped without script: install bsdutils)'

test.skipIf(terminals !== '')(`a real process ends when its terminal closes${terminals}`, async () => {
  const command = `exec ${process.execPath} ${fixture}`
  const env = { PATH: process.env.PATH, ORIEL_LISTEN: '127.0.0.1:0' }
  const terminal = spawn('script', ['-qfc', command, '/dev/null'], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  let shown = ''
  // The message and its address stand on lines of their own, and a terminal may show one before the other.
  const said = /listening[\s\S]*127\.0\.0\.1:(\d+)\D/
  for await (const piece of terminal.stdout.setEncoding('utf8')) {
    shown += piece
    if (said.test(shown)) break
  }
  const port = Number(said.exec(shown)![1])
  terminal.kill('SIGKILL')
  const answers = () => isAnswered(port)
  await expect.poll(answers).toBe(false)
})

test('a real process with a bad configuration exits with 2 and prints one line for each fault', async () => {
  using it = launch({ ORIEL_LISTEN: 'nowhere', ORIEL_LISTN: 'x' })
  it.child.stdout.resume()
  expect(await it.ended).toEqual([2, null])
  expect((await it.stderr).trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^ORIEL_LISTN: .*ORIEL_LISTEN for listen$/),
    expect.stringMatching(/^listen: "nowhere" does not fit, .* \(from ORIEL_LISTEN\)$/),
  ])
})

test('a real process exits with 2 for a configuration of more than 16 MiB', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-config-'))
  const file = join(folder.path, 'large.toml')
  await writeFile(file, '')
  await truncate(file, 16 * 2 ** 20 + 1)
  for (const name of [file, '/dev/zero']) {
    using it = launch({}, '--check-config', '--config', name)
    it.child.stdout.resume()
    expect(await it.ended).toEqual([2, null])
    expect(await it.stderr).toContain(
      'cannot read this file: it has more than 16 MiB, give a configuration to --config',
    )
  }
})

test('a real process exits with 1 if the port is in use, and logs the key, the address and a remedy', async () => {
  await using taken = createServer()
  const address = await listenOn(taken, { host: '127.0.0.1', port: 0 })
  using it = launch({ ORIEL_LISTEN: address })
  const [first, ...others] = (await text(it.child.stdout)).trimEnd().split('\n')
  const entry = JSON.parse(first!)
  expect(others).toEqual([])
  expect(entry).toMatchObject({ level: 'fatal', err: { code: 'EADDRINUSE', address } })
  const remedy = 'stop it, or set ORIEL_LISTEN=127.0.0.1:0 for a free port'
  expect(entry.msg).toBe(`listen: cannot listen on ${address}: another program uses this port; ${remedy}`)
  expect(await it.stderr).toBe(`oriel-fixture: ${entry.msg}\n`)
  expect(await it.ended).toEqual([1, null])
})

test.skipIf(terminals !== '')(`a port in use is one sentence on a terminal, under npm start${terminals}`, async () => {
  await using taken = createServer()
  const address = await listenOn(taken, { host: '127.0.0.1', port: 0 })
  const env = { PATH: process.env.PATH, ORIEL_LISTEN: address, npm_lifecycle_event: 'start' }
  const command = `exec ${process.execPath} ${fixture}`
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const shown = (await text(terminal.stdout)).trimEnd().split('\n')
  expect(shown).toHaveLength(1)
  expect(shown[0]).toContain(
    `listen: cannot listen on ${address}: another program uses this port; stop it, or try ORIEL_LISTEN=127.0.0.1:0 npm start`,
  )
})

test('a real process exits with 1 on an unhandled rejection, and logs it without the token', async () => {
  using it = launch({}, '--reject')
  const out = await text(it.child.stdout)
  expect(await it.ended).toEqual([1, null])
  expect(out).toContain('nobody waits for /?token=***')
  expect(out + (await it.stderr)).not.toContain('hunter2')
})

test.each([['--reject-unreadable'], ['--throw-promise']])(
  'a real process exits with 1 and one fatal line if the thrown value cannot be logged: %s',
  async (flag) => {
    using it = launch({}, flag)
    const lines = (await text(it.child.stdout)).trimEnd().split('\n')
    expect(await it.ended).toEqual([1, null])
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      level: 'fatal',
      msg: expect.stringMatching(/ending the program$/),
    })
  },
)

describe.each(['a full disk', 'a pipe without a reader'])('with %s for stdout and stderr', (kind) => {
  /** A real process whose every write fails. */
  function launchMute(...args: string[]) {
    const full = openSync('/dev/full', 'w')
    const output = kind === 'a full disk' ? full : 'pipe'
    const env = { PATH: process.env.PATH }
    const child = spawn(process.execPath, [fixture, ...args], { env, stdio: ['ignore', output, output, 'ipc'] })
    closeSync(full)
    child.stdout?.destroy()
    child.stderr?.destroy()
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>
    return { child, ended, [Symbol.dispose]: () => void child.kill('SIGKILL') }
  }

  test('a real process starts, and exits with 0 on SIGTERM', async () => {
    using it = launchMute()
    await once(it.child, 'message')
    it.child.kill('SIGTERM')
    expect(await it.ended).toEqual([0, null])
  })

  test('an unhandled rejection exits with 1', async () => {
    using it = launchMute('--reject')
    expect(await it.ended).toEqual([1, null])
  })

  test.each([
    ['--help', 0],
    ['--check-config', 0],
    ['--bogus', 2],
  ])('%s exits with its code', async (flag, code) => {
    using it = launchMute(flag)
    expect(await it.ended).toEqual([code, null])
  })
})
