/** Starts real guests: QEMU without a disk, whose firmware shows a text screen and reacts to keys. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './bytes.ts'
import { type Exit, exitOf, stopChild } from './child.ts'
import { type WaitOptions, within } from './deadline.ts'
import { parsePpm, type RgbPicture } from './pictures.ts'
import { connectQmp, type QmpClient } from './qmp.ts'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts'

/** A folder with `ca-cert.pem`, `server-cert.pem` and `server-key.pem`. */
export interface QemuTls {
  readonly folder: string
  /** Whether QEMU requires a client certificate of that CA. Default: true. */
  readonly verifyPeer?: boolean
  /** Whether QEMU checks its own certificate, and refuses to start with an expired one. Default: true. */
  readonly sanityCheck?: boolean
}

export interface VncOptions {
  readonly tls?: QemuTls
  readonly port?: number
  readonly password?: string
  /** How long QEMU waits after each change of a key. Default: QEMU's, 10. */
  readonly keyDelayMs?: number
}

export interface QemuOptions {
  readonly name: string
  readonly uuid?: string
  /** Default: VNC without TLS and password, on a free port. `false`: no VNC. */
  readonly vnc?: VncOptions | false
  /** Whether to offer a serial port over TCP. Default port: a free one. */
  readonly serial?: boolean | { readonly port: number }
  /** The device on which the firmware shows its menu. Default: `screen`. */
  readonly firmware?: 'screen' | 'serial'
  /** Whether the guest waits for `qmp('cont')`, so that a test can read a serial port from the first byte. */
  readonly paused?: boolean
  /** `tls`: a folder with `ca-cert.pem`, `server-cert.pem` and `server-key.pem`. `ticket`: QEMU's SPICE password. */
  readonly spice?: { readonly tls?: { readonly folder: string }; readonly ticket?: string; readonly port?: number }
  /** More arguments, after all others. */
  readonly args?: readonly string[]
}

/** A running guest. Its ports are those of 127.0.0.1 that QEMU reports. */
export interface QemuGuest extends QmpClient, AsyncDisposable {
  readonly name: string
  readonly uuid: string
  readonly host: '127.0.0.1'
  readonly pid: number
  readonly vncPort: number | undefined
  readonly serialPort: number | undefined
  readonly spicePort: number | undefined
  readonly spiceTlsPort: number | undefined
  /** A second QMP monitor on a Unix socket, for the program under test. It serves one client at a time. */
  readonly qmpSocket: string
  readonly exited: Promise<Exit>
  /** Returns the picture on the guest's screen. @throws QmpError */
  screendump(): Promise<RgbPicture>
  /**
   * Resolves with the first picture that `predicate` accepts. Polls, because QEMU has no event for a changed picture.
   */
  untilPicture(predicate: (picture: RgbPicture) => boolean, options?: WaitOptions): Promise<RgbPicture>
  /** Presses keys together and releases them. Names are QEMU's QKeyCodes: `sendKey('ctrl', 'alt', 'delete')`. */
  sendKey(...keys: string[]): Promise<void>
}

const host = '127.0.0.1'
/** The port of VNC display 0. */
const VNC_BASE_PORT = 5900
const pollEveryMs = 50
const pictureTimeoutMs = 30_000
/** Long, because guests are emulated, often several at once. */
const startTimeoutMs = 30_000

/** Starts a guest. Resolves when QEMU answers on its monitor; the firmware needs seconds more to draw. */
export async function startQemu(options: QemuOptions): Promise<QemuGuest> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const ports = await chooseSpicePorts(options)
  const child = spawn('qemu-system-x86_64', commandLine(options, folder.path, ports), {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const exited = exitOf(child)
  scope.defer(() => stopQuietly(child, exited))
  const client = await monitor(child, exited)
  const guest = await describe(options, client, child, exited, folder, ports)
  const rest = scope.move()
  return { ...guest, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

type SpicePorts = Pick<QemuGuest, 'spicePort' | 'spiceTlsPort'>

/** Chooses free ports: unlike its VNC server, QEMU's SPICE server cannot choose one itself. */
async function chooseSpicePorts({ spice }: QemuOptions): Promise<SpicePorts> {
  return {
    spicePort: spice ? (spice.port ?? (await freePort())) : undefined,
    spiceTlsPort: spice?.tls ? await freePort() : undefined,
  }
}

function commandLine(options: QemuOptions, folder: string, ports: SpicePorts): string[] {
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-m', '64', '-vga', 'std'],
    ...['-machine', `pc,accel=tcg${options.firmware === 'serial' ? ',graphics=off' : ''}`],
    ...['-boot', 'menu=on,splash-time=60000'],
    ...['-name', escaped(options.name), ...(options.uuid ? ['-uuid', options.uuid] : [])],
    // A socket pair between parent and child: it is already connected, and no other process can connect.
    ...['-chardev', 'socket,id=testkit,fd=3', '-mon', 'chardev=testkit,mode=control'],
    ...['-qmp', `unix:${escaped(join(folder, 'qmp'))},server=on,wait=off`],
    ...(options.paused ? ['-S'] : []),
    ...vncArguments(options.vnc),
    ...(options.serial ? ['-chardev', serialDevice(options.serial)] : []),
    ...(options.serial ? ['-serial', 'chardev:serial0'] : []),
    ...spiceArguments(options.spice, ports),
    ...(options.args ?? []),
  ]
}

const serialDevice = (serial: true | { readonly port: number }) =>
  `socket,id=serial0,host=${host},port=${serial === true ? 0 : serial.port},server=on,wait=off`

function vncArguments(vnc: VncOptions | false = {}): string[] {
  if (vnc === false) return []
  const secret = vnc.password === undefined ? [] : ['-object', `secret,id=vncpassword,data=${escaped(vnc.password)}`]
  const password = vnc.password === undefined ? '' : ',password-secret=vncpassword'
  const address = vnc.port === undefined ? `${host}:0,to=9999` : `${host}:${vnc.port - VNC_BASE_PORT}`
  const delay = vnc.keyDelayMs === undefined ? '' : `,key-delay-ms=${vnc.keyDelayMs}`
  const display = `${address}${password}${delay}`
  if (!vnc.tls) return [...secret, '-vnc', display]
  const { folder, verifyPeer = true, sanityCheck = true } = vnc.tls
  const checks = `verify-peer=${onOff(verifyPeer)},sanity-check=${onOff(sanityCheck)}`
  const credentials = `tls-creds-x509,id=vnctls,dir=${escaped(folder)},endpoint=server,${checks}`
  return [...secret, '-object', credentials, '-vnc', `${display},tls-creds=vnctls`]
}

function spiceArguments(spice: QemuOptions['spice'], { spicePort, spiceTlsPort }: SpicePorts): string[] {
  if (!spice) return []
  const secret = spice.ticket === undefined ? [] : ['-object', `secret,id=ticket,data=${escaped(spice.ticket)}`]
  const ticket = spice.ticket === undefined ? 'disable-ticketing=on' : 'password-secret=ticket'
  const tls = spice.tls ? `,tls-port=${spiceTlsPort},x509-dir=${escaped(spice.tls.folder)}` : ''
  return [...secret, '-spice', `addr=${host},port=${spicePort}${tls},${ticket}`]
}

const onOff = (value: boolean) => (value ? 'on' : 'off')

/** Doubles commas: QEMU splits values at single ones. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}

/** Connects to the monitor. If that fails, throws an error with QEMU's stderr. */
async function monitor(child: ChildProcess, exited: Promise<Exit>): Promise<QmpClient> {
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4096)
  })
  const ended = exited.then(({ code, signal }) => {
    throw new Error(`QEMU ended with ${signal ?? code}: ${stderr}`)
  })
  const connected = connectQmp(child.stdio[3] as Duplex, { timeoutMs: startTimeoutMs })
  connected.catch(() => {})
  try {
    return await Promise.race([connected, ended])
  } catch (cause) {
    // The monitor closes shortly before the process exits; the error with the reason comes from the exit.
    return await within(ended, startTimeoutMs, () => String(cause))
  }
}

async function describe(
  options: QemuOptions,
  client: QmpClient,
  child: ChildProcess,
  exited: Promise<Exit>,
  folder: TemporaryFolder,
  ports: SpicePorts,
): Promise<Omit<QemuGuest, typeof Symbol.asyncDispose>> {
  const { UUID: uuid } = (await client.qmp('query-uuid')) as { UUID: string }
  const screendump = () => takePicture(client, join(folder.path, 'screen.ppm'))
  return {
    name: options.name,
    uuid,
    host,
    pid: child.pid!,
    vncPort: options.vnc === false ? undefined : await vncPort(client),
    serialPort: options.serial ? await serialPort(client) : undefined,
    ...ports,
    qmpSocket: join(folder.path, 'qmp'),
    exited,
    qmp: (command, args, wait) => client.qmp(command, args, wait),
    events: client.events,
    screendump,
    untilPicture: (predicate, wait) => untilPicture(screendump, predicate, wait),
    async sendKey(...keys) {
      await client.qmp('send-key', { keys: keys.map((data) => ({ type: 'qcode', data })) })
    },
  }
}

async function vncPort(client: QmpClient): Promise<number> {
  const { service } = (await client.qmp('query-vnc')) as { service: string }
  return Number(service)
}

async function serialPort(client: QmpClient): Promise<number> {
  const devices = (await client.qmp('query-chardev')) as { label: string; filename: string }[]
  const port = /:(\d+),/.exec(devices.find(({ label }) => label === 'serial0')?.filename ?? '')?.[1]
  if (port === undefined) throw new Error(`No port of the serial device: ${JSON.stringify(devices)}`)
  return Number(port)
}

async function takePicture(client: QmpClient, filename: string): Promise<RgbPicture> {
  await client.qmp('screendump', { filename })
  const picture = parsePpm(await readFile(filename))
  await rm(filename)
  return picture
}

async function untilPicture(
  screendump: () => Promise<RgbPicture>,
  predicate: (picture: RgbPicture) => boolean,
  { timeoutMs = pictureTimeoutMs }: WaitOptions = {},
): Promise<RgbPicture> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const picture = await screendump()
    if (predicate(picture)) return picture
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms: no such picture on the screen`)
    await delay(pollEveryMs)
  }
}

async function stopQuietly(child: ChildProcess, exited: Promise<Exit>): Promise<void> {
  // Without a pid QEMU was never started, and startQemu has thrown that error.
  if (child.pid !== undefined) await stopChild(child, exited)
}
