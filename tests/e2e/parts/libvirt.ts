/** Starts a libvirt daemon in session mode, which needs nothing from the system and works in any container. */
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startProgram, temporaryFolder } from '@oriel/testkit'

export interface Libvirt extends AsyncDisposable {
  readonly uri: string
  /** A folder in which domains may create sockets. */
  readonly folder: string
  /** Runs virsh, and resolves with its output. */
  virsh(...args: string[]): Promise<string>
  /** Starts a transient domain from XML, which disappears when it stops. */
  create(xml: string): Promise<void>
  /** Defines a persistent domain without starting it. */
  define(xml: string): Promise<void>
  /** Stops the daemon. Its domains keep running. */
  stopDaemon(): Promise<void>
  startDaemon(): Promise<void>
}

/** The id of an unprivileged user, because the daemon of root always manages the system. */
const NOBODY = 65534

export async function startLibvirt(): Promise<Libvirt> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const env = await sessionFolders(folder.path)
  const uri = `qemu:///session?socket=${join(env.XDG_RUNTIME_DIR, 'libvirt', 'libvirt-sock')}`
  const virsh = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)('virsh', [`--connect=${uri}`, ...args], { timeout: 60_000 })
    return stdout
  }
  const { startDaemon, stopDaemon } = daemon(env, virsh)
  scope.defer(stopDaemon)
  await startDaemon()
  scope.defer(() => destroyAll(virsh))
  const fromFile = async (command: 'create' | 'define', xml: string) => {
    const file = join(folder.path, 'domain.xml')
    await writeFile(file, xml)
    await virsh(command, file)
  }
  const rest = scope.move()
  return {
    ...{ uri, folder: env.XDG_RUNTIME_DIR, virsh, startDaemon, stopDaemon },
    create: (xml) => fromFile('create', xml),
    define: (xml) => fromFile('define', xml),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

export interface DomainOptions {
  readonly uuid: string
  readonly name: string
  readonly devices: string
}

/** Returns the XML of an emulated guest without a disk. */
export const domain = ({ uuid, name, devices }: DomainOptions) => `
  <domain type='qemu'>
    <name>${name}</name><uuid>${uuid}</uuid>
    <memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os>
    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${devices}<video><model type='vga'/></video></devices>
    <seclabel type='none'/>
  </domain>`

/**
 * With another `stdio_handler`, libvirt needs a second daemon for logs. The port ranges differ from those of the
 * testkit, because libvirt chooses a port before its QEMU listens on it.
 */
const QEMU_CONF = `
stdio_handler = "file"
remote_display_port_min = 18600
remote_display_port_max = 19999
`

type SessionEnvironment = Record<'HOME' | `XDG_${'RUNTIME_DIR' | 'CONFIG_HOME' | 'CACHE_HOME' | 'DATA_HOME'}`, string>

async function sessionFolders(root: string): Promise<SessionEnvironment> {
  const env = {
    HOME: join(root, 'home'),
    XDG_RUNTIME_DIR: join(root, 'run'),
    XDG_CONFIG_HOME: join(root, 'config'),
    XDG_CACHE_HOME: join(root, 'cache'),
    XDG_DATA_HOME: join(root, 'data'),
  }
  for (const folder of [...Object.values(env), join(env.XDG_CONFIG_HOME, 'libvirt')]) await owned(folder)
  await writeFile(join(env.XDG_CONFIG_HOME, 'libvirt', 'qemu.conf'), QEMU_CONF)
  if (isRoot) await chmod(root, 0o755)
  return env
}

async function owned(folder: string): Promise<void> {
  await mkdir(folder)
  if (isRoot) await chown(folder, NOBODY, NOBODY)
}

const isRoot = process.getuid?.() === 0

function daemon(env: SessionEnvironment, virsh: (...args: string[]) => Promise<string>) {
  let running: Awaited<ReturnType<typeof startProgram>> | undefined
  return {
    async startDaemon() {
      const asNobody = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups', 'libvirtd']
      const options = isRoot ? { command: 'setpriv', args: asNobody } : { command: 'libvirtd' }
      const PATH = `${process.env.PATH}:/usr/sbin:/sbin`
      const program = await startProgram({ ...options, env: { ...env, PATH } })
      running = program
      await untilAnswering(virsh, program.exited)
      // The daemon answers before it has found the running domains. `domstats` waits until it has.
      await virsh('domstats', '--balloon')
    },
    async stopDaemon() {
      await running?.stop()
      running = undefined
    },
  }
}

/** Polls until libvirtd answers: it does not report when it listens. */
async function untilAnswering(virsh: (...args: string[]) => Promise<string>, exited: Promise<unknown>): Promise<void> {
  let ended = false
  exited.then(() => {
    ended = true
  })
  for (let left = 100; ; left -= 1) {
    try {
      await virsh('list')
      return
    } catch (cause) {
      if (ended || left === 0) throw new Error('libvirtd does not answer', { cause })
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

async function destroyAll(virsh: (...args: string[]) => Promise<string>): Promise<void> {
  for (const name of (await virsh('list', '--name')).split('\n').filter(Boolean)) await virsh('destroy', name)
}
