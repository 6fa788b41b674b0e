/**
 * A small cloud of built programs: a stub of Keystone, oriel-api on SQLite with one proxy of each authority kind,
 * `oriel` with both in one process, and hypervisors whose consoles tick. Each part can be stopped, killed and
 * restarted.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, temporaryFolder } from '@oriel/testkit'
import type { Target } from '../console-client.ts'
import { type Part, startPart } from '../fork.ts'
import { builtApp, type RunningServer, startServer } from '../server.ts'
import { type Disk, mountDisk } from './disk.ts'
import { type ApiSettings, apiToml, orielToml, proxyToml, serverId } from './toml.ts'

/** A process that can be restarted with the same options. */
export class Member<Running extends { readonly pid: number } & AsyncDisposable = Part> {
  readonly #start: (previous: Running | undefined) => Promise<Running>
  #running: Running

  static async start<R extends { readonly pid: number } & AsyncDisposable>(
    start: (previous: R | undefined) => Promise<R>,
  ): Promise<Member<R>> {
    return new Member(start, await start(undefined))
  }

  private constructor(start: (previous: Running | undefined) => Promise<Running>, running: Running) {
    this.#start = start
    this.#running = running
  }

  get running(): Running {
    return this.#running
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#running.pid, signal)
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#running[Symbol.asyncDispose]()
  }

  async startAgain(): Promise<void> {
    this.#running = await this.#start(this.#running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]()
  }
}

/** A proxy, with the functions to open a console through it. */
export interface Relay {
  target(token: string): Target
  /** Creates a token for console `n`. @throws if the API does not return one within five seconds */
  mint(n: number): Promise<string>
}

export interface Cloud extends AsyncDisposable {
  readonly keystone: Member
  readonly api: Member<RunningServer>
  readonly hypervisors: readonly Member[]
  /** The number of consoles of each hypervisor. Console `n` belongs to hypervisor `n / consolesEach`. */
  readonly consolesEach: number
  readonly relays: readonly Relay[]
  /** The process that reads the log of the proxy with the authority kind `nova`. */
  readonly logReader: { readonly pid: number }
  /** The file systems of the logs and of the database. Absent if this user may not mount file systems. */
  readonly disks: { readonly logs?: Disk; readonly data?: Disk }
  /** The files of the databases. */
  readonly databases: readonly string[]
  /** A console without a proxy, for comparison. */
  readonly control: Target
}

const HYPERVISORS = 5
const MINT_TIMEOUT_MS = 5_000

export async function startCloud(consoles: number): Promise<Cloud> {
  await using opened = new AsyncDisposableStack()
  const { path: folder } = opened.use(await temporaryFolder())
  const disks = await mountDisks(folder, opened)
  const consolesEach = consoles / HYPERVISORS
  const hypervisors: Member[] = []
  for (let h = 0; h < HYPERVISORS; h += 1) {
    hypervisors.push(opened.use(await Member.start<Part>((previous) => startTicker(consolesEach, previous))))
  }
  const control = opened.use(await startTicker(1, undefined))
  const keystone = opened.use(
    await Member.start<Part>((previous) => startPart('keystone', [String(previous?.ports.http ?? 0)])),
  )
  const logs = disks.logs?.path ?? folder
  const apiOf = async (name: string): Promise<ApiSettings> => ({
    authUrl: `http://127.0.0.1:${keystone.running.ports.http}/v3`,
    port: await freePort(),
    database: join(disks.data?.path ?? folder, `${name}.db`),
    ports: hypervisors.flatMap(({ running }) => Object.values(running.ports)),
  })
  const shared = await apiOf('api')
  const apiFile = await written(folder, 'api.toml', apiToml(shared))
  const api = opened.use(
    await Member.start(() => startProgram('api', apiFile, shared.port, { logFile: join(logs, 'api.log') })),
  )
  const logReader = opened.use(await startReader(join(folder, 'nova.fifo')))
  const outputs = {
    oriel: { logFile: join(logs, 'oriel.log') },
    nova: { logFile: logReader.file, output: logReader.fifo },
  }
  const relays: Relay[] = []
  for (const kind of ['oriel', 'nova'] as const) {
    const port = await freePort()
    const file = await written(folder, `${kind}.toml`, proxyToml({ kind, port, api: shared }))
    opened.use(await startProgram('proxy', file, port, outputs[kind]))
    relays.push(relayOf(port, shared))
  }
  const own = await apiOf('one')
  const port = await freePort()
  const file = await written(folder, 'one.toml', orielToml(own, port))
  opened.use(await startProgram('oriel', file, port, { logFile: join(logs, 'one.log') }))
  relays.push(relayOf(port, own))
  const close = opened.move()
  return {
    ...{ keystone, api, hypervisors, consolesEach, relays, logReader, disks },
    databases: [shared.database, own.database],
    control: { port: control.ports[0]!, rfb: true },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

const relayOf = (port: number, api: ApiSettings): Relay => ({
  target: (token) => ({ port, path: () => `/?token=${token}`, rfb: true }),
  mint: (n) => mint(api.port, n),
})

async function mountDisks(folder: string, opened: AsyncDisposableStack): Promise<Cloud['disks']> {
  try {
    const logs = opened.use(await mountDisk(join(folder, 'logs'), 64))
    return { logs, data: opened.use(await mountDisk(join(folder, 'data'), 64)) }
  } catch {
    return {}
  }
}

const startTicker = (consoles: number, previous: Part | undefined) =>
  startPart(
    'ticker',
    Array.from({ length: consoles }, (_, n) => String(previous?.ports[n] ?? 0)),
  )

const startProgram = (
  name: 'api' | 'oriel' | 'proxy',
  file: string,
  port: number,
  output: { readonly logFile: string; readonly output?: string },
) => startServer({ command: process.execPath, args: [builtApp(name), '--config', file], port, ...output })

async function written(folder: string, name: string, text: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text)
  return file
}

/** Starts a process that copies a FIFO into a file. */
async function startReader(fifo: string) {
  const file = `${fifo}.log`
  const child = spawn('sh', ['-c', 'mkfifo "$0" && echo made && exec cat "$0" > "$1"', fifo, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return {
    ...{ pid: child.pid!, fifo, file },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function mint(apiPort: number, n: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${apiPort}/v2.1/servers/${serverId(n)}/remote-consoles`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'OpenStack-API-Version': 'compute 2.99',
      'X-Auth-Token': 'token-of-alice',
    },
    body: JSON.stringify({ remote_console: { protocol: 'vnc', type: 'novnc' } }),
    signal: AbortSignal.timeout(MINT_TIMEOUT_MS),
  })
  const body = await response.text()
  const token = /token%3D([\w-]+)/.exec(body)?.[1]
  if (token === undefined) throw new Error(`${response.status} ${body}`)
  return token
}
