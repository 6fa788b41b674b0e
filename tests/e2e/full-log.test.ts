/** Runs the built API while the disk of its log is full. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, temporaryFolder } from '@oriel/testkit'
import { stringify } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { apiConfig, MEMBER_TOKEN, programFile } from './parts/oriel.ts'

const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const CONSOLE = { remote_console: { protocol: 'vnc', type: 'novnc' } }

/** Starts the API with a stdout on which every write fails (full(4)). */
async function startWithFullLog() {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await temporaryFolder())
  const port = await freePort()
  const file = join(folder.path, 'api.toml')
  const servers = [{ id: SERVER, name: 'web-1', consoles: { vnc: { host: '127.0.0.1', port: 5901 } } }]
  await writeFile(file, stringify(apiConfig(port, 6080, servers)))
  const stdout = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, [programFile('api'), '--config', file], {
    stdio: ['ignore', stdout, 'inherit'],
    cwd: folder.path,
  })
  closeSync(stdout)
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  opened.defer(() => ended(child, exited))
  const close = opened.move()
  return { child, exited, url: `http://127.0.0.1:${port}/v2.1`, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

async function ended(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGKILL')
  await exited
}

const createConsole = (url: string) =>
  fetch(`${url}/servers/${SERVER}/remote-consoles`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'OpenStack-API-Version': 'compute 2.6',
      'X-Auth-Token': MEMBER_TOKEN,
    },
    body: JSON.stringify(CONSOLE),
  })

describe('oriel-api on a full log disk', () => {
  it('creates consoles, and exits with 0 when it is stopped', async () => {
    await using api = await startWithFullLog()
    await expect
      .poll(() =>
        createConsole(api.url).then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200)
    const answers = await Promise.all(Array.from({ length: 200 }, () => createConsole(api.url)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    api.child.kill('SIGTERM')
    expect(await api.exited).toEqual([0, null])
  })
})
