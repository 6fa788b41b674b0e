/** `--demo`: starts guests on loopback that need no hypervisor, and provides a configuration that lists them. */
import type { ApiConfig } from '@oriel/api'
import { startDemoGuest, startDemoSerial, startQemuGuest } from '@oriel/demo-guests'
import type { Logger } from '@oriel/runtime'

/** The configuration if no file is given: all users of this machine have all rights, and tokens are kept in memory. */
export const demoConfig = `
[api]
auth.method = "none"
tokens.store = "sqlite::memory:"
consoles.spice-html5.enabled = false
consoles.spice-direct.enabled = false
[proxy]
# The identity check expects the desktop name of a QEMU guest; the drawn guest has another.
hypervisor.identity = "off"
[[proxy.listen]]
address = "127.0.0.1:6080"
consoles = ["novnc", "serial"]
`

type SourceConfig = ApiConfig['sources'][number]
type ServerConfig = Extract<SourceConfig, { kind: 'static' }>['servers'][number]

export interface Demo extends AsyncDisposable {
  /** The demo guests as a source of servers. */
  readonly source: SourceConfig
}

/** Starts the drawn guest and, if QEMU is installed, also a diskless QEMU guest. */
export async function startDemo(log: Logger): Promise<Demo> {
  await using scope = new AsyncDisposableStack()
  const drawn = await startDrawnGuest(scope)
  const real = await startRealGuest(scope, log)
  const rest = scope.move()
  return { source: { kind: 'static', servers: [drawn, ...real] }, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

async function startDrawnGuest(scope: AsyncDisposableStack): Promise<ServerConfig> {
  const guest = { name: 'demo', host: '127.0.0.1', port: 0 }
  const { host, port } = scope.use(await startDemoGuest(guest))
  const serial = scope.use(await startDemoSerial(guest))
  return {
    ...common('5b6f2c7e-90a4-4c0e-8a57-6d1f7f1f0001', guest.name),
    description: 'Drawn by Oriel itself, without a hypervisor.',
    consoles: { vnc: { host, port }, serial: { host, port: serial.port } },
  }
}

/** Starts the QEMU guest. Returns an empty list if QEMU is not installed or does not start. */
async function startRealGuest(scope: AsyncDisposableStack, log: Logger): Promise<readonly ServerConfig[]> {
  try {
    const guest = { name: 'qemu', uuid: '5b6f2c7e-90a4-4c0e-8a57-6d1f7f1f0002' }
    const qemu = scope.use(await startQemuGuest(guest))
    if (!qemu) return []
    const description = 'A QEMU guest without a disk: ESC opens the boot menu of its firmware.'
    const { host, vncPort, serialPort } = qemu
    const consoles = { vnc: { host, port: vncPort }, serial: { host, port: serialPort } }
    return [{ ...common(guest.uuid, guest.name), description, consoles }]
  } catch (err) {
    log.warn({ err }, 'the demo continues without the QEMU guest, because QEMU did not start')
    return []
  }
}

/** The project of every caller under `auth.method = "none"`, so that the list of servers contains the guests. */
const DEMO_PROJECT = 'local'

const common = (id: string, name: string) => ({
  ...{ id, name, project_id: DEMO_PROJECT, locked: false, tags: [] },
  status: 'ACTIVE' as const,
})
