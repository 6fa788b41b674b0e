/**
 * Runs `virsh` to talk to libvirt, with a fixed list of arguments and no shell. The only part of a request that becomes an
 * argument is a UUID, after validation. Every connection is read-only, except for {@link domainXmlWithSecrets}.
 */
import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { Transform } from 'node:stream'
import { guardPeer } from '@oriel/runtime'
import { SourceUnavailable } from '../errors.ts'

export interface VirshOptions {
  readonly uri: string
  /** The deadline of each query, after which virsh is killed. `listenForEvents` has none. */
  readonly timeoutMs: number
  /** Default: `virsh`, looked up on the PATH. */
  readonly program?: string
}

interface AccessOptions extends VirshOptions {
  /** Whether the connection is more than read-only. Default: no. */
  readonly writable?: boolean
}

/** A domain in the output of `virsh list`. */
export interface ListedDomain {
  readonly uuid: string
  readonly name: string
  /** Changes with each start. Absent while the domain is off. */
  readonly runId: string | undefined
}

/** The numbers of a virDomainState and its reason. */
export interface ListedState {
  readonly state: number
  readonly reason: number
}

/** Thrown for a domain that does not exist, or no longer exists. */
export class NoSuchDomain extends Error {
  override readonly name = 'NoSuchDomain'
}

const MAX_OUTPUT_BYTES = 16 * 1024 * 1024
const MAX_EVENT_LINE_BYTES = 4096
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The output of `virsh list`: domains, and lines that cannot be parsed. */
export interface Listing {
  readonly domains: readonly ListedDomain[]
  readonly oddLines: readonly string[]
}

/** @throws SourceUnavailable if virsh cannot be started, fails or times out */
export async function listDomains(options: VirshOptions, signal?: AbortSignal): Promise<Listing> {
  return parseListing(await virsh(options, ['list', '--all', '--uuid', '--name', '--id'], signal))
}

/** Parses the output of `virsh list --uuid --name --id`. */
export function parseListing(output: string): Listing {
  const lines = output.split('\n').filter((line) => line !== '')
  return {
    domains: lines.flatMap((line) => listedDomain(line) ?? []),
    oddLines: lines.filter((line) => !listedDomain(line)),
  }
}

/** Takes one blank before the name: any more belong to the name, which may begin and end with blanks. */
function listedDomain(line: string): ListedDomain | undefined {
  const { uuid, id, name } = /^(?<uuid>\S{36}) +(?<id>-|\d+) (?<name>[^\n]+)$/.exec(line)?.groups ?? {}
  if (uuid === undefined || name === undefined || !UUID.test(uuid)) return undefined
  return { uuid, name, runId: id === '-' ? undefined : id }
}

/** Returns states by domain name. @throws SourceUnavailable if virsh cannot be started, fails or times out */
export async function listStates(
  options: VirshOptions,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ListedState>> {
  return parseStates(await virsh(options, ['domstats', '--state', '--raw'], signal))
}

/** Parses the output of `virsh domstats --state --raw`. */
export function parseStates(output: string): ReadonlyMap<string, ListedState> {
  const pattern = /^Domain: '([^\n]*)'\n {2}state\.state=(\d+)\n(?: {2}state\.reason=(\d+)\n)?/gm
  return new Map(
    [...output.matchAll(pattern)].map(([, name, state, reason]) => [
      name!,
      { state: Number(state), reason: Number(reason ?? 0) },
    ]),
  )
}

/** @throws NoSuchDomain, TypeError if `uuid` is malformed, SourceUnavailable when libvirt does not respond */
export function domainXml(options: VirshOptions, uuid: string, signal?: AbortSignal): Promise<string> {
  return dumpXml(options, uuid, [], signal)
}

/**
 * Returns XML that contains the passwords of the domain's consoles, which libvirt shows only to a read-write connection.
 * @throws as {@link domainXml}
 */
export async function domainXmlWithSecrets(options: VirshOptions, uuid: string, signal?: AbortSignal): Promise<string> {
  try {
    return await dumpXml({ ...options, writable: true }, uuid, ['--security-info'], signal)
  } catch (cause) {
    if (!(cause instanceof SourceUnavailable)) throw cause
    throw new SourceUnavailable(`${cause.message} (passwords = true needs a read-write connection)`, { cause })
  }
}

async function dumpXml(
  options: AccessOptions,
  uuid: string,
  more: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  if (!UUID.test(uuid)) throw new TypeError('the id of a domain must be a UUID')
  try {
    return await virsh(options, ['dumpxml', '--domain', uuid, ...more], signal)
  } catch (cause) {
    const unknown = cause instanceof Error && /failed to get domain|Domain not found/.test(cause.message)
    throw unknown ? new NoSuchDomain(uuid, { cause }) : cause
  }
}

/** A lifecycle event of a domain, without virsh's detail: `Stopped` for `Stopped Destroyed`. */
export interface LifecycleEvent {
  /** The domain's name, since virsh does not print its UUID. */
  readonly domain: string
  readonly event: string
}

/**
 * Calls `onEvent` at each lifecycle event, until `signal` aborts or virsh ends. Never rejects; resolves to why it stopped:
 * the end of virsh's stderr, or the message of an error.
 */
export async function listenForEvents(
  options: VirshOptions,
  onEvent: (event: LifecycleEvent) => void,
  signal: AbortSignal,
): Promise<string> {
  const child = spawn(program(options), commandLine(options, ['event', '--event', 'lifecycle', '--loop']), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(),
    signal,
    killSignal: 'SIGKILL',
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-1000)
  })
  const { promise: ended, resolve: end } = Promise.withResolvers<string>()
  child.on('error', (error) => end(startFailure(error)?.message ?? error.message))
  child.on('close', () => end(complaint.trim()))
  const onLine = guardPeer(
    (line: string) => {
      const event = parseEvent(line)
      if (event) onEvent(event)
    },
    (cause) => {
      end(cause.message)
      child.kill('SIGKILL')
    },
  )
  createInterface({ input: child.stdout.pipe(shortLines()) }).on('line', onLine)
  return ended
}

/** Parses a line of `virsh event --event lifecycle`. Returns `undefined` for any other line. */
export function parseEvent(line: string): LifecycleEvent | undefined {
  const { domain, event } = EVENT.exec(line)?.groups ?? {}
  return domain === undefined || event === undefined ? undefined : { domain, event }
}

const EVENT = /^event 'lifecycle' for domain '(?<domain>.*)': (?<event>[A-Za-z]+)(?: [^']*)?$/

async function virsh(options: AccessOptions, args: readonly string[], signal?: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  execFile(
    program(options),
    commandLine(options, args),
    {
      env: environment(),
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
      encoding: 'utf8',
      ...(signal && { signal }),
    },
    (cause, stdout, stderr) => (cause ? reject(failure(args[0]!, stderr, cause, options)) : resolve(stdout)),
  ).stdin?.end()
  return promise
}

function failure(command: string, stderr: string, cause: Error & { killed?: boolean }, { timeoutMs }: VirshOptions) {
  if (cause.name === 'AbortError') return cause
  if ('code' in cause && cause.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
    return new Error(`virsh ${command}: an answer of more than ${MAX_OUTPUT_BYTES} bytes`, { cause })
  }
  const notStarted = startFailure(cause)
  if (notStarted) return new SourceUnavailable(notStarted.message, { cause })
  const why = cause.killed ? `no answer within ${timeoutMs} ms` : stderr.trim().slice(0, 1000) || cause.message
  return new SourceUnavailable(`virsh ${command}: ${why}`, { cause })
}

/** Returns an Error with a remedy if `virsh` could not be started, or else `undefined`. */
function startFailure(cause: Error): Error | undefined {
  const { code, path = 'virsh' } = cause as NodeJS.ErrnoException
  const remedy = START_REMEDIES[code ?? '']
  return remedy === undefined ? undefined : new Error(`${path} cannot be started (${code}): ${remedy}`)
}

const START_REMEDIES: Readonly<Record<string, string>> = {
  ENOENT:
    'install libvirt-clients (Fedora: libvirt-client), or put its folder on the PATH of this service; in a container, build the image of deploy/libvirt-hosts/Containerfile',
  EACCES: 'the user of this service may not execute it',
}

const program = (options: VirshOptions) => options.program ?? 'virsh'

/** Builds the arguments, with `--connect=` and the URI in one, so that virsh cannot mistake the URI for an option. */
function commandLine({ uri, writable = false }: AccessOptions, args: readonly string[]): readonly string[] {
  return [`--connect=${uri}`, ...(writable ? [] : ['--readonly']), '--quiet', ...args]
}

/**
 * Returns the variables that libvirt's client and its ssh need, without this program's secrets. English, since the output
 * is parsed.
 */
function environment(): NodeJS.ProcessEnv {
  const passed = Object.entries(process.env).filter(([name]) => PASSED.test(name))
  return { ...Object.fromEntries(passed), LC_ALL: 'C' }
}

const PASSED = /^(PATH|HOME|USER|LOGNAME|TMPDIR|XDG_[A-Z_]+|SSH_AUTH_SOCK|KRB5CCNAME|KRB5_CONFIG|LIBVIRT_[A-Z_]+)$/

/** Cuts lines, so that an endless line cannot fill the memory. */
export function shortLines(): Transform {
  let length = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const kept: number[] = []
      for (const byte of chunk) {
        length = byte === 0x0a ? 0 : length + 1
        if (length <= MAX_EVENT_LINE_BYTES) kept.push(byte)
      }
      done(null, Buffer.from(kept))
    },
  })
}
