/** Starts the parts of native SPICE: QEMU, the proxy over TLS, a stub of Nova, and real viewers. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { type ProxyConfig, proxyConfig, type RunningProxy, refineProxyConfig, startProxy } from '@oriel/proxy'
import { createLogger, loadConfig, parseListen } from '@oriel/runtime'
import {
  defaultTimeoutMs,
  differingShare,
  type NovaConsole,
  type NovaStub,
  parsePpm,
  type QemuGuest,
  type QemuOptions,
  type Requirement,
  type RgbPicture,
  requirement,
  startNovaStub,
  startQemu,
  type TemporaryFolder,
  temporaryFolder,
  temporaryPki,
  within,
} from '@oriel/testkit'

/** The share of pixels in which two pictures of a text screen may differ: its cursor blinks. */
export const TOLERANCE = 0.002

const SERVICE_TOKEN = 'service-credential-of-the-proxy'

export interface SpiceStand extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly nova: NovaStub
  /** The PEM file of the CA of the proxy's certificate. */
  readonly ca: string
  /** The proxy's TLS port for viewers. */
  readonly tlsPort: number
  readonly records: readonly Record<string, unknown>[]
  /** Returns the records with the message `msg`. */
  logged(msg: string): Record<string, unknown>[]
  /** Makes the proxy reload its configuration, with the certificates of another folder. */
  renew(pki: TemporaryFolder): void
  /** Downloads the `.vv` file for a token of Nova into a new folder. */
  file(token: string): Promise<VvFile>
}

/** A downloaded file and its content. */
export interface VvFile {
  readonly path: string
  readonly text: string
  readonly host: string
  readonly tlsPort: number
  readonly password: string
}

export interface SpiceStandOptions {
  readonly tokens: Readonly<Record<string, NovaConsole>>
  /** The folder with the hypervisors' certificates. */
  readonly cloud?: TemporaryFolder
  /** More lines of `[spice]`. */
  readonly spice?: string
  /** More lines of `[hypervisor.spice]`. */
  readonly hypervisor?: string
  readonly identity?: 'off' | 'warn' | 'enforce'
}

/** Starts a proxy with a certificate of a private CA, and a stub of Nova as its authority. */
export async function startStand(options: SpiceStandOptions): Promise<SpiceStand> {
  await using opened = new AsyncDisposableStack()
  const pki = opened.use(await temporaryPki())
  const downloads = opened.use(await temporaryFolder())
  const nova = opened.use(await startNovaStub({ tokens: options.tokens, adminToken: SERVICE_TOKEN }))
  const records: Record<string, unknown>[] = []
  const log = createLogger({
    name: 'proxy',
    level: 'trace',
    destination: { write: (line) => void records.push(JSON.parse(line) as Record<string, unknown>) },
  })
  const proxy = opened.use(await startProxy(configOf(nova, pki, options), { log }))
  let files = 0
  const close = opened.move()
  return {
    ...{ proxy, nova, records, ca: join(pki.path, 'ca-cert.pem') },
    tlsPort: parseListen(proxy.spice!.tlsAddress!).port,
    logged: (msg) => records.filter((record) => record.msg === msg),
    renew: (next) => proxy.reload(configOf(nova, next, options)),
    file: (token) => download(proxy, token, join(downloads.path, `${++files}.vv`)),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

function configOf(nova: NovaStub, pki: TemporaryFolder, options: SpiceStandOptions): ProxyConfig {
  const { cloud, spice = '', hypervisor = '', identity = 'enforce' } = options
  const toml = `
    [authority]
    endpoint = "${nova.url}"
    auth = { method = "token", token = "${SERVICE_TOKEN}" }
    [[listen]]
    address = "127.0.0.1:0"
    consoles = ["spice-direct"]
    [spice]
    tls_listen = "127.0.0.1:0"
    ${spice}
    [spice.tls]
    cert_file = "${pki.path}/server-cert.pem"
    key_file = "${pki.path}/server-key.pem"
    ca_file = "${pki.path}/ca-cert.pem"
    [hypervisor]
    identity = "${identity}"
    [hypervisor.spice]
    ${cloud ? `ca_file = "${cloud.path}/ca-cert.pem"` : ''}
    ${hypervisor}`
  return loadConfig(proxyConfig, { toml, refine: refineProxyConfig })
}

async function download(proxy: RunningProxy, token: string, path: string): Promise<VvFile> {
  const response = await fetch(`http://${proxy.listeners[0]!.address}/nova?token=${token}`)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
  await writeFile(path, text)
  const entry = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  return { path, text, host: entry('host'), tlsPort: Number(entry('tls-port')), password: entry('password') }
}

/** Returns the connection info of a guest, as in Nova for a console of type spice-direct. */
export const consoleOf = ({ uuid, host, spicePort, spiceTlsPort }: QemuGuest): NovaConsole => ({
  instance_uuid: uuid,
  host,
  port: spicePort ?? 0,
  tls_port: spiceTlsPort ?? null,
})

/** A guest whose screen does not change until a key is pressed. */
export interface StillGuest extends QemuGuest {
  /** Resets the machine. Resolves when it shows the same screen again. */
  restart(): Promise<void>
}

/**
 * Starts a guest with only SPICE, in the menu of its firmware: all other screens of the firmware change by themselves
 * within a minute. The firmware reports its state on its debug port.
 */
export async function startGuest(options: Omit<QemuOptions, 'vnc'>): Promise<StillGuest> {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await temporaryFolder())
  const debugPort = join(folder.path, 'firmware')
  const args = [...(options.args ?? []), '-debugcon', `file:${debugPort}`, '-global', 'isa-debugcon.iobase=0x402']
  const guest = opened.use(await startQemu({ ...options, args, vnc: false }))
  let starts = 0
  const says = (words: string) =>
    until(
      () => readFile(debugPort, 'utf8'),
      (all) => all.split(words).length > starts,
    )
  const openMenu = async () => {
    starts += 1
    await says('Press ESC for boot menu')
    await guest.sendKey('esc')
    await says('Select boot device')
    await guest.untilPicture(isSteady())
  }
  await openMenu()
  const close = opened.move()
  return {
    ...guest,
    restart: async () => {
      await guest.qmp('system_reset')
      await openMenu()
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** Returns a predicate that accepts a text screen once it has not changed, except for its cursor. */
function isSteady(looks = 10): (picture: RgbPicture) => boolean {
  let last: RgbPicture | undefined
  let same = 0
  return (picture) => {
    const steady = picture.width >= 640 && last?.width === picture.width && last.height === picture.height
    same = steady && isLit(picture) && differingShare(last!, picture) <= TOLERANCE ? same + 1 : 0
    last = picture
    return same >= looks
  }
}

/** Whether the screen shows more than a cursor. */
const isLit = ({ data }: RgbPicture) => data.filter((level) => level > 0).length > 3000

/** Takes a picture with spicy-screenshot, through the proxy or directly from a hypervisor. */
export async function screenshot(
  address: { host: string; port?: number; tlsPort?: number; password?: string },
  ca?: string,
): Promise<RgbPicture> {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'screen.ppm')
  const { host, port, tlsPort, password } = address
  const args = ['-h', host, ...(port ? ['-p', String(port)] : []), ...(tlsPort ? ['-s', String(tlsPort)] : [])]
  const env = { ...process.env, ...(ca ? { SSL_CERT_FILE: ca } : {}) }
  const { stderr, stdout } = await run(
    'spicy-screenshot',
    [...args, ...(password ? ['-w', password] : []), '-o', path],
    {
      env,
      timeout: 30_000,
    },
  )
  const bytes = await readFile(path).catch((cause) => {
    throw new Error(`spicy-screenshot: ${stdout}${stderr}`, { cause })
  })
  return parsePpm(bytes)
}

const run = promisify(execFile)

/** A virtual screen (Xvfb). */
export interface Display extends AsyncDisposable {
  /** The display's name, such as `:99`. */
  readonly name: string
  /** Returns the picture of the whole display. */
  picture(): Promise<RgbPicture>
  /** Focuses the newest window, and presses keys there. Names are those of X11. */
  press(...keys: string[]): Promise<void>
  /** Returns the titles of the open windows. */
  titles(): Promise<string[]>
}

export async function startDisplay(): Promise<Display> {
  const args = ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp', '-noreset']
  const child = spawn('Xvfb', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const lines = createInterface({ input: child.stdout! })
  const number = new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    child.once('exit', () => reject(new Error('Xvfb ended')))
  })
  const name = `:${await within(number, defaultTimeoutMs, () => 'Xvfb named no display')}`
  const env = { ...process.env, DISPLAY: name }
  const xdotool = async (...words: string[]) => (await run('xdotool', words, { env, timeout: 10_000 })).stdout
  const windows = async () =>
    (await xdotool('search', '--onlyvisible', '--name', '.').catch(() => '')).split('\n').filter(Boolean)
  return {
    name,
    picture: async () => {
      const options = { env, encoding: 'buffer', maxBuffer: 64 << 20, timeout: 20_000 } as const
      return parsePpm((await run('import', ['-silent', '-window', 'root', '-depth', '8', 'ppm:-'], options)).stdout)
    },
    press: async (...keys) => {
      const window = (await windows()).at(-1)
      if (window === undefined) throw new Error('there is no window')
      await xdotool('windowfocus', '--sync', window)
      for (const key of keys) await xdotool('key', '--window', '0', key).catch(() => xdotool('key', key))
    },
    titles: async () => {
      // A window may close between the two queries.
      const titleOf = (id: string) => xdotool('getwindowname', id).catch(() => '')
      const titles = await Promise.all((await windows()).map(titleOf))
      return titles.map((title) => title.trim()).filter((title) => title !== '')
    },
    [Symbol.asyncDispose]: () => ended(child),
  }
}

export interface Viewer extends AsyncDisposable {
  /** Returns the viewer's debug output so far. */
  readonly log: () => string
  readonly exited: Promise<number | null>
}

/** Starts remote-viewer with a downloaded file. */
export async function startViewer(display: Display, file: string): Promise<Viewer> {
  await using opened = new AsyncDisposableStack()
  const home = opened.use(await temporaryFolder())
  const env = { ...process.env, ...viewerEnv(display, home) }
  const child = spawn('remote-viewer', ['--debug', '--spice-debug', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text = (text + more).slice(-4_000_000)
    })
  }
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  opened.defer(() => ended(child))
  const close = opened.move()
  // Each line contains the process id, which may equal a port.
  const log = () => text.replaceAll(`(remote-viewer:${child.pid}): `, '')
  return { log, exited, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

/** Returns the environment of a viewer: its display, and a home of its own. */
export const viewerEnv = (display: Display, home: TemporaryFolder) => ({
  DISPLAY: display.name,
  HOME: home.path,
  XDG_RUNTIME_DIR: home.path,
  NO_AT_BRIDGE: '1',
  LANG: 'C.UTF-8',
})

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(timer)
}

/**
 * Returns the smallest share of pixels in which `part` differs from a position in `whole`; 1 if it matches nowhere.
 * Only compares positions at which the row with the most content matches, because most screens are mostly black.
 */
export function bestMatch(part: RgbPicture, whole: RgbPicture): number {
  const row = richestRow(part)
  const wanted = rowOf(part, row)
  let best = 1
  for (let y = row; y + part.height - row <= whole.height; y++) {
    const line = rowOf(whole, y)
    for (let at = line.indexOf(wanted); at >= 0; at = line.indexOf(wanted, at + 1)) {
      if (at % 3 === 0) best = Math.min(best, differingShare(part, cropped(whole, at / 3, y - row, part)))
    }
  }
  return best
}

const rowOf = ({ data, width }: RgbPicture, y: number) => Buffer.from(data.subarray(y * width * 3, (y + 1) * width * 3))

function richestRow(picture: RgbPicture): number {
  const changes = Array.from({ length: picture.height }, (_, y) => {
    const row = rowOf(picture, y)
    return row.reduce((sum, level, i) => (i >= 3 && level !== row[i - 3] ? sum + 1 : sum), 0)
  })
  return changes.indexOf(Math.max(...changes))
}

function cropped(whole: RgbPicture, left: number, top: number, { width, height }: RgbPicture): RgbPicture {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) data.set(rowOf(whole, top + y).subarray(left * 3, (left + width) * 3), y * width * 3)
  return { width, height, data }
}

/** Polls until `accepts` returns true for a value, and resolves with it. */
export async function until<T>(
  look: () => Promise<T> | T,
  accepts: (value: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await look()
    if (accepts(value)) return value
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms: not so yet`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Checks the programs that these tests need besides QEMU. */
export function requiresViewers(): Requirement {
  const missing = ['spicy-screenshot', 'remote-viewer', 'vncviewer', 'Xvfb', 'xdotool', 'import'].filter(
    (name) => !isInstalled(name),
  )
  return requirement(missing.join(', '), missing.length === 0, 'run tests/install-debian-packages')
}

const isInstalled = (name: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)))
