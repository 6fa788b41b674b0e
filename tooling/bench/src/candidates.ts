/**
 * The candidates that are measured side by side: Oriel's proxy, an older build of it or its peers, and a bare relay.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { freePort } from '@oriel/testkit'
import type { Target } from './console-client.ts'
import { startPart } from './fork.ts'
import type { Guest, Lab } from './guest.ts'
import { builtApp, startServer } from './server.ts'

export interface Candidate extends AsyncDisposable {
  /** The root of its process tree. */
  readonly pid: number
  readonly target: Target
  /** The file with its output, if it is a separate program. */
  readonly logFile?: string
}

export interface CandidateKind {
  /** Its name in tables. */
  readonly title: string
  /** The program that must be on the PATH; absent if the repository contains it. */
  readonly needs?: string
  /** Whether the build can run this way. Default: yes. */
  isPossible?(): boolean
  /**
   * Starts it as a relay to consoles of one kind. `nodeArgs` apply to those that run on Node. `patient` raises the
   * deadlines of Oriel's proxy.
   */
  start(lab: Lab, guest: Guest, nodeArgs: readonly string[], patient: boolean): Promise<Candidate>
}

export const candidates = {
  oriel: { title: 'oriel-proxy', start: startOriel },
  asking: { title: 'oriel-proxy, continuous_updates = false', isPossible: canAsk, start: startAsking },
  baseline: { title: 'oriel-proxy of BENCH_BASELINE', start: startBaseline },
  websockify: { title: 'websockify', needs: 'websockify', start: startWebsockify },
  haproxy: { title: 'HAProxy, TCP mode', needs: 'haproxy', start: startHaproxy },
  bare: { title: 'bare TCP relay in Node', start: startBareRelay },
} as const satisfies Record<string, CandidateKind>

export type CandidateName = keyof typeof candidates

/** The folder of a built checkout whose proxy is measured against this one. */
export const baseline = process.env.BENCH_BASELINE

/** Whether an older build is measured instead of the peers, so that the figures are not for the page. */
export const comparesBuilds = baseline !== undefined

/** The candidates among `names` that can be started here. With BENCH_BASELINE, this build and the other one. */
export function installed(names: readonly CandidateName[]): CandidateName[] {
  if (comparesBuilds) return ['oriel', 'baseline']
  return names.filter((name) => {
    const { needs, isPossible }: CandidateKind = candidates[name]
    return (needs === undefined || isOnPath(needs)) && (isPossible === undefined || isPossible())
  })
}

/**
 * Starts the proxy with Nova's REST API as its authority, as an operator runs it, but without limits on session counts.
 */
function startOriel(lab: Lab, guest: Guest, nodeArgs: readonly string[], patient = false): Promise<Candidate> {
  return startProxy(builtApp('proxy'), lab, guest, nodeArgs, patient)
}

function startBaseline(lab: Lab, guest: Guest, nodeArgs: readonly string[], patient = false): Promise<Candidate> {
  return startProxy(builtApp('proxy', baseline), lab, guest, nodeArgs, patient)
}

/** Starts the proxy without continuous updates: the console then sends one update for each request of the client. */
function startAsking(lab: Lab, guest: Guest, nodeArgs: readonly string[], patient = false): Promise<Candidate> {
  return startProxy(builtApp('proxy'), lab, guest, nodeArgs, patient, '[consoles.novnc]\ncontinuous_updates = false\n')
}

/** Whether this build has continuous updates. A build without them names the key as a fault. */
function canAsk(): boolean {
  const key = 'ORIEL_CONSOLES__NOVNC__CONTINUOUS_UPDATES'
  const args = [builtApp('proxy'), '--check-config', '--config', '/dev/null']
  const { stderr } = spawnSync(process.execPath, args, { env: { ...process.env, [key]: 'false' }, encoding: 'utf8' })
  return !stderr.includes(key)
}

async function startProxy(
  program: string,
  lab: Lab,
  guest: Guest,
  nodeArgs: readonly string[],
  patient: boolean,
  more = '',
): Promise<Candidate> {
  const port = await freePort()
  const file = join(lab.folder, `proxy-${port}.toml`)
  await writeFile(file, proxyToml(lab.authority.ports.http!, port, patient ? PATIENT : SHIPPED) + more)
  const server = await startServer({
    command: process.execPath,
    args: [...nodeArgs, program, '--config', file],
    port,
    logFile: orielLog(lab, port),
  })
  const consolePort = lab.hypervisor.ports[`rfb-${guest}`]
  return { ...server, target: { port, path: (session) => `/?token=${consolePort}.${session}`, rfb: true } }
}

/** Returns the log file of the proxy that listens at `port`. */
export const orielLog = ({ folder }: Lab, port: number): string => join(folder, `proxy-${port}.log`)

/**
 * Deadlines of look-up and dial, and the ping interval: the defaults, and values for a slow machine with many consoles.
 */
const SHIPPED = { deadlineMs: 5_000, pingSeconds: 25 }
const PATIENT = { deadlineMs: 30_000, pingSeconds: 600 }

const proxyToml = (authorityPort: number, port: number, { deadlineMs, pingSeconds }: typeof SHIPPED) => `
[authority]
endpoint = "http://127.0.0.1:${authorityPort}/v2.1"
timeout_ms = ${deadlineMs}
auth = { method = "token", token = "bench" }
validate = "off"
[[listen]]
address = "127.0.0.1:${port}"
consoles = ["novnc"]
[hypervisor]
dial_timeout_ms = ${deadlineMs}
identity = "warn"
[sessions]
ping_interval_seconds = ${pingSeconds}
max_total = 20000
max_per_client = 20000
max_per_instance = 20000
max_per_token = 20000
`

/** Starts websockify. It does not parse RFB, so its consoles have no RFB handshake. */
async function startWebsockify(lab: Lab, guest: Guest): Promise<Candidate> {
  const port = await freePort()
  const source = `http://127.0.0.1:${lab.authority.ports.http}/flat/%s`
  const server = await startServer({
    command: 'websockify',
    args: ['--token-plugin', 'JSONTokenApi', '--token-source', source, `127.0.0.1:${port}`],
    port,
    logFile: join(lab.folder, `websockify-${port}.log`),
  })
  const consolePort = lab.hypervisor.ports[guest]
  return { ...server, target: { port, path: (session) => `/?token=${consolePort}.${session}`, rfb: false } }
}

async function startHaproxy(lab: Lab, guest: Guest): Promise<Candidate> {
  const port = await freePort()
  const file = join(lab.folder, `haproxy-${port}.cfg`)
  await writeFile(file, haproxyCfg(port, lab.hypervisor.ports[guest]!))
  const logFile = join(lab.folder, `haproxy-${port}.log`)
  const server = await startServer({ command: 'haproxy', args: ['-db', '-f', file], port, logFile })
  return { ...server, target: { port, rfb: false } }
}

const haproxyCfg = (port: number, consolePort: number) => `
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen consoles
  bind 127.0.0.1:${port}
  server hypervisor 127.0.0.1:${consolePort}
`

async function startBareRelay(lab: Lab, guest: Guest, nodeArgs: readonly string[]): Promise<Candidate> {
  const part = await startPart('relay', [String(lab.hypervisor.ports[guest])], nodeArgs)
  return { ...part, target: { port: part.ports.tcp!, rfb: false } }
}

function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
