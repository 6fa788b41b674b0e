/**
 * A guest without a hypervisor, for trying and testing Oriel: a small RFB server with an animated desktop, and a serial port
 * with a shell.
 *
 * Imports only `node:*`, so that the program with `--demo` can bundle it.
 */
import { Desktop } from './desktop.ts'
import { type Served, serveOn } from './serve.ts'
import { serveViewer } from './session.ts'
import { serveTerminal } from './shell.ts'

export { type QemuGuest, type QemuGuestOptions, startQemuGuest } from './qemu.ts'
export { maxViewers } from './serve.ts'

export interface DemoGuestOptions {
  /** The guest's name: its RFB desktop name, and part of its greeting. */
  readonly name: string
  /** Where to listen. Default: `127.0.0.1`. */
  readonly host?: string
  /** Default: 0, a port that the system chooses. */
  readonly port?: number
  /** The guest's clock. Default: the real one. */
  readonly now?: () => Date
}

export interface DemoGuest extends Served {
  readonly name: string
}

/**
 * Starts a guest that speaks RFB 3.3, 3.7 and 3.8 (RFC 6143) with security type None. All viewers share one desktop.
 * Disposing of it disconnects all viewers and frees the port.
 *
 * @throws the error of `listen`, such as EADDRINUSE.
 */
export async function startDemoGuest(options: DemoGuestOptions): Promise<DemoGuest> {
  const { name, host = '127.0.0.1', port = 0, now = () => new Date() } = options
  await using scope = new AsyncDisposableStack()
  const desktop = scope.use(new Desktop({ name, now }))
  const served = scope.use(await serveOn(host, port, (socket) => serveViewer(socket, desktop)))
  const rest = scope.move()
  return { name, host, port: served.port, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/**
 * Starts a serial port over TCP, as a hypervisor offers it: raw bytes. Each connection gets a new shell. Disposing of it closes
 * all connections and frees the port.
 *
 * @throws the error of `listen`, such as EADDRINUSE.
 */
export async function startDemoSerial(options: DemoGuestOptions): Promise<DemoGuest> {
  const { name, host = '127.0.0.1', port = 0, now = () => new Date() } = options
  const served = await serveOn(host, port, (socket) => serveTerminal(socket, { name, now }))
  return { name, ...served }
}
