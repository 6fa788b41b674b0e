/** `oriel vnc SERVER` */
import { textOf } from '../arguments/options.ts'
import { createConsole } from '../cloud/create-console.ts'
import { findServer, type Server } from '../cloud/servers.ts'
import { type Cloud, signIn } from '../cloud/sign-in.ts'
import { dial } from '../console/dial.ts'
import { echoed, print, printJson, say } from '../output.ts'
import { signalled } from '../signals.ts'
import { isLoopback, listenAddress } from '../viewer/listen-address.ts'
import { startViewer } from '../viewer/start-viewer.ts'
import { type Address, vncCommand } from '../viewer/viewers.ts'
import { openVncPort, type VncPort, type VncPortOptions } from '../viewer/vnc-port.ts'
import type { Call } from './command.ts'

/** Opens a port for VNC viewers, and starts one. Without a viewer it waits for one until a signal. */
export async function run({ words, values }: Call): Promise<number> {
  const listen = listenAddress(textOf(values, 'listen') ?? '127.0.0.1:0')
  const cloud = signIn(values)
  const server = await findServer(cloud.client, words[0]!)
  const port = await openVncPort({ listen, open: await opener(cloud, server), say })
  const { address } = port
  if (!isLoopback(address))
    say(`any machine that reaches ${written(address)} can now use the console, without a password`)
  const command = vncCommand(textOf(values, 'viewer'), address)
  if (values.json) printJson({ server: { id: server.id, name: server.name }, ...address })
  else if (command === undefined) print(written(address))
  const signal = signalled()
  if (command !== undefined) return throughViewer(command, port, signal)
  say(`connect a VNC viewer to ${written(address)} for ${echoed(server.name)}; Ctrl-C ends`)
  return signal
}

const written = ({ host, port }: Address) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

/** Creates a console at once, so that a server without one is reported before a viewer starts. The first viewer gets it. */
async function opener(cloud: Cloud, server: Server): Promise<VncPortOptions['open']> {
  let first: { readonly url: string } | undefined = await createConsole(cloud, server, 'novnc')
  const expiry = setTimeout(() => {
    first = undefined
  }, FRESH_MS)
  expiry.unref()
  return async (again) => {
    const console = first ?? (await createConsole(cloud, server, 'novnc'))
    first = undefined
    return dial(console.url, cloud, again)
  }
}

/** Shorter than the life of a token anywhere. */
const FRESH_MS = 15_000

async function throughViewer(command: readonly string[], port: VncPort, signal: Promise<number>): Promise<number> {
  say(`starting ${command[0]}`)
  const viewer = startViewer(command)
  // A viewer that goes to the background ends at once, but keeps its connection.
  const ended = viewer.ended.then(() => port.idle()).then(() => 0)
  const code = await Promise.race([ended, signal])
  viewer.stop()
  port.close()
  return code
}
