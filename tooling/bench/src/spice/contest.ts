/** Starts the candidates for native SPICE: oriel-proxy, and relays that terminate TLS but do not parse SPICE. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, startNovaStub, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { installed } from '../candidates.ts'
import { startPart } from '../fork.ts'
import { builtApp, type RunningServer, startServer } from '../server.ts'
import type { SpiceTarget } from './client.ts'
import { instanceOf } from './wire.ts'

export const titles = {
  oriel: 'oriel-proxy',
  haproxy: 'HAProxy that ends TLS',
  bare: 'bare TLS relay in Node',
} as const

export type Contestant = keyof typeof titles

export interface SpiceEntrant {
  readonly name: Contestant
  /** The root of its process tree. */
  readonly pid: number
  /** The port of its inspector, if it runs on Node and `inspected` was set. */
  readonly inspectorPort: number
  /** Returns the address of the next session. Await it before the next call, because guests are counted. */
  next(): Promise<SpiceTarget>
}

export interface SpiceContest extends AsyncDisposable {
  readonly entrants: readonly SpiceEntrant[]
}

/** The surroundings of a candidate. */
interface Site {
  /** The folder with certificates, all of one CA. */
  readonly pki: string
  /** The folder for configurations and logs. */
  readonly folder: string
  readonly ca: string
  /** The port of a SPICE server that only this candidate uses. */
  readonly consolePort: number
  readonly nodeArgs: readonly string[]
}

type Started = AsyncDisposable & Pick<SpiceEntrant, 'pid' | 'next'>

const starters = { oriel: startOriel, haproxy: startHaproxy, bare: startBareRelay } as const satisfies Record<
  Contestant,
  (site: Site) => Promise<Started>
>

const TOKEN = 'bench'
/** More guests than any measurement opens. */
const GUESTS = 2000

/** Starts the installed candidates, each with a separate SPICE server. */
export async function openSpiceContest({ inspected = false } = {}): Promise<SpiceContest> {
  await using opened = new AsyncDisposableStack()
  const [{ path: pki }, { path: folder }] = [opened.use(await temporaryPki()), opened.use(await temporaryFolder())]
  const ca = await readFile(join(pki, 'ca-cert.pem'), 'utf8')
  const entrants: SpiceEntrant[] = []
  for (const name of installed(Object.keys(titles) as Contestant[]) as Contestant[]) {
    const [consolePort, inspectorPort] = [await freePort(), await freePort()]
    opened.use(await startSpiceServer(consolePort, folder))
    const nodeArgs = inspected ? [`--inspect=127.0.0.1:${inspectorPort}`] : []
    const { pid, next } = opened.use(await starters[name]({ pki, folder, ca, consolePort, nodeArgs }))
    entrants.push({ name, pid, next, inspectorPort })
  }
  const close = opened.move()
  return { entrants, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

/**
 * Starts the proxy with Nova as its authority. A session takes a token, a viewer file with a ticket, and its channels.
 */
async function startOriel({ pki, folder, ca, consolePort, nodeArgs }: Site): Promise<Started> {
  await using opened = new AsyncDisposableStack()
  const host = { host: '127.0.0.1', port: consolePort, tls_port: null }
  const guests = Array.from({ length: GUESTS }, (_, guest) => instanceOf(guest))
  const tokens = Object.fromEntries(guests.map((id) => [id, { ...host, instance_uuid: id }]))
  const nova = opened.use(await startNovaStub({ tokens, adminToken: TOKEN }))
  const [port, tlsPort] = [await freePort(), await freePort()]
  const file = join(folder, 'proxy.toml')
  await writeFile(file, proxyToml({ endpoint: nova.url, port, tlsPort, pki }))
  const args = [...nodeArgs, builtApp('proxy'), '--config', file]
  const logFile = join(folder, 'proxy.log')
  const server = opened.use(await startServer({ command: process.execPath, args, port, logFile }))
  let guest = 0
  const next = async () => ({ port: tlsPort, ca, ticket: await ticketOf(port, instanceOf(guest++)) })
  const close = opened.move()
  return { ...server, next, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

/** Fetches the ticket on a new connection: the proxy could close an idle one just when the next request is sent. */
async function ticketOf(port: number, token: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/nova?token=${token}`, { headers: { Connection: 'close' } })
  const text = await response.text()
  const ticket = /^password=(.*)$/m.exec(text)?.[1]
  if (ticket === undefined) throw new Error(`${response.status}: ${text}`)
  return ticket
}

const proxyToml = ({
  endpoint,
  port,
  tlsPort,
  pki,
}: {
  endpoint: string
  port: number
  tlsPort: number
  pki: string
}) => `
[authority]
endpoint = "${endpoint}"
auth = { method = "token", token = "${TOKEN}" }
[[listen]]
address = "127.0.0.1:${port}"
consoles = ["spice-direct"]
[spice]
tls_listen = "127.0.0.1:${tlsPort}"
files_per_minute = 100000
tls = { cert_file = "${join(pki, 'server-cert.pem')}", key_file = "${join(pki, 'server-key.pem')}" }
[hypervisor]
identity = "enforce"
[sessions]
max_total = 20000
max_per_client = 20000
max_per_instance = 20000
max_per_token = 20000
`

async function startHaproxy({ pki, folder, ca, consolePort }: Site): Promise<Started> {
  const port = await freePort()
  const [pem, file] = [join(folder, 'haproxy.pem'), join(folder, 'haproxy.cfg')]
  const parts = ['server-cert.pem', 'server-key.pem'].map((name) => readFile(join(pki, name), 'utf8'))
  await writeFile(pem, (await Promise.all(parts)).join('\n'))
  await writeFile(file, haproxyCfg(port, consolePort, pem))
  const logFile = join(folder, 'haproxy.log')
  const server = await startServer({ command: 'haproxy', args: ['-db', '-f', file], port, logFile })
  return { ...server, next: async () => ({ port, ca, ticket: '' }) }
}

const haproxyCfg = (port: number, consolePort: number, pem: string) => `
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen consoles
  bind 127.0.0.1:${port} ssl crt ${pem}
  server hypervisor 127.0.0.1:${consolePort}
`

async function startBareRelay({ pki, ca, consolePort, nodeArgs }: Site): Promise<Started> {
  const part = await startPart('relay', [String(consolePort), 'client', pki], nodeArgs)
  return { ...part, next: async () => ({ port: part.ports.tcp!, ca, ticket: '' }) }
}

/** Starts the SPICE server. */
function startSpiceServer(port: number, folder: string): Promise<RunningServer> {
  const file = fileURLToPath(new URL('../parts/spice-server.ts', import.meta.url))
  const logFile = join(folder, `spice-server-${port}.log`)
  return startServer({ command: process.execPath, args: [file, String(port)], port, logFile })
}
