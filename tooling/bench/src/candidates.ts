/**
 * The candidates that are measured side by side: Oriel's proxy, an older build of it or its peers, and a bare relay.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { freePort } from '@oriel/testkit'
import type { Target } from './console-client.ts'
import { startPart } from './fork.ts'
import type { Guest, Lab, Secured, StartOptions } from './guest.ts'
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
   * Starts it as a relay to consoles of one kind.
   * @throws Error if it cannot have TLS on that leg
   */
  start(lab: Lab, options: StartOptions): Promise<Candidate>
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
function startOriel(lab: Lab, options: StartOptions): Promise<Candidate> {
  return startProxy(builtApp('proxy'), lab, options)
}

function startBaseline(lab: Lab, options: StartOptions): Promise<Candidate> {
  return startProxy(builtApp('proxy', baseline), lab, options)
}

/** Starts the proxy without continuous updates: the console then sends one update for each request of the client. */
function startAsking(lab: Lab, options: StartOptions): Promise<Candidate> {
  return startProxy(builtApp('proxy'), lab, options, '[consoles.novnc]\ncontinuous_updates = false\n')
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
  { guest, nodeArgs = [], patient = false, secured = 'none' }: StartOptions,
  more = '',
): Promise<Candidate> {
  const port = await freePort()
  const file = join(lab.folder, `proxy-${port}.toml`)
  const settings = { authorityPort: lab.authority.ports.http!, port, ...(patient ? PATIENT : SHIPPED) }
  await writeFile(file, proxyToml({ ...settings, ...tlsToml(lab, secured) }) + more)
  const server = await startServer({
    command: process.execPath,
    args: [...nodeArgs, program, '--config', file],
    port,
    logFile: orielLog(lab, port),
  })
  const consolePort = lab.hypervisor.ports[`${secured === 'console' ? 'vencrypt' : 'rfb'}-${guest}`]
  const path = (session: number) => `/?token=${consolePort}.${session}`
  return { ...server, target: { port, path, rfb: true, ...trust(lab, secured) } }
}

/** Returns the keys of a listener and of the hypervisors' VNC servers. */
const tlsToml = ({ pki = '' }: Lab, secured: Secured) => ({
  listener:
    secured === 'client'
      ? `tls = { cert_file = "${join(pki, 'server-cert.pem')}", key_file = "${join(pki, 'server-key.pem')}" }`
      : '',
  vnc: secured === 'console' ? `vnc = { auth_schemes = ["vencrypt"], ca_file = "${join(pki, 'ca-cert.pem')}" }` : '',
})

/** Returns by which CA a client checks the candidate. */
const trust = ({ pki = '' }: Lab, secured: Secured): Pick<Target, 'caFile'> =>
  secured === 'client' ? { caFile: join(pki, 'ca-cert.pem') } : {}

/** Returns the log file of the proxy that listens at `port`. */
export const orielLog = ({ folder }: Lab, port: number): string => join(folder, `proxy-${port}.log`)

/**
 * Deadlines of look-up and dial, and the ping interval: the defaults, and values for a slow machine with many consoles.
 */
const SHIPPED = { deadlineMs: 5_000, pingSeconds: 25 }
const PATIENT = { deadlineMs: 30_000, pingSeconds: 600 }

interface ProxySettings {
  readonly authorityPort: number
  readonly port: number
  readonly deadlineMs: number
  readonly pingSeconds: number
  readonly listener: string
  readonly vnc: string
}

const proxyToml = ({ authorityPort, port, deadlineMs, pingSeconds, listener, vnc }: ProxySettings) => `
[authority]
endpoint = "http://127.0.0.1:${authorityPort}/v2.1"
timeout_ms = ${deadlineMs}
auth = { method = "token", token = "bench" }
validate = "off"
[[listen]]
address = "127.0.0.1:${port}"
consoles = ["novnc"]
${listener}
[hypervisor]
${vnc}
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
async function startWebsockify(lab: Lab, { guest, secured = 'none' }: StartOptions): Promise<Candidate> {
  if (secured !== 'none') throw new Error('the bench starts websockify without TLS')
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

async function startHaproxy(lab: Lab, { guest, secured = 'none' }: StartOptions): Promise<Candidate> {
  const port = await freePort()
  const file = join(lab.folder, `haproxy-${port}.cfg`)
  await writeFile(file, haproxyCfg(port, byteConsole(lab, guest, secured), await haproxyTls(lab, secured)))
  const logFile = join(lab.folder, `haproxy-${port}.log`)
  const server = await startServer({ command: 'haproxy', args: ['-db', '-f', file], port, logFile })
  return { ...server, target: { port, rfb: false, ...trust(lab, secured) } }
}

/** Returns the port of a console without RFB, which has TLS if that leg has. */
const byteConsole = ({ hypervisor }: Lab, guest: Guest, secured: Secured) =>
  hypervisor.ports[secured === 'console' ? `tls-${guest}` : guest]!

/** Returns what HAProxy's two addresses are followed by. */
async function haproxyTls({ folder, pki = '' }: Lab, secured: Secured) {
  if (secured === 'console') return { bind: '', server: `ssl verify required ca-file ${join(pki, 'ca-cert.pem')}` }
  if (secured === 'none') return { bind: '', server: '' }
  const file = join(folder, 'haproxy.pem')
  const parts = ['server-cert.pem', 'server-key.pem'].map((name) => readFile(join(pki, name), 'utf8'))
  await writeFile(file, (await Promise.all(parts)).join('\n'))
  return { bind: `ssl crt ${file}`, server: '' }
}

const haproxyCfg = (port: number, consolePort: number, tls: { readonly bind: string; readonly server: string }) => `
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen consoles
  bind 127.0.0.1:${port} ${tls.bind}
  server hypervisor 127.0.0.1:${consolePort} ${tls.server}
`

async function startBareRelay(lab: Lab, { guest, nodeArgs = [], secured = 'none' }: StartOptions): Promise<Candidate> {
  const args = [String(byteConsole(lab, guest, secured)), secured, lab.pki ?? '']
  const part = await startPart('relay', args, nodeArgs)
  return { ...part, target: { port: part.ports.tcp!, rfb: false, ...trust(lab, secured) } }
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
