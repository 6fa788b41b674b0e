/** A VNC server whose desktop has a given name, and a client that opens its console. */
import type { Peer } from '@oriel/testkit'
import { open, type RunOptions, running } from '../fixture.ts'

/** Plays a VNC server from ClientInit on. */
const desktopCalled = (name: string) => async (peer: Peer) => {
  const desktop = Buffer.from(name)
  const header = Buffer.alloc(24)
  header.writeUInt32BE(desktop.length, 20)
  await peer.read(1)
  await peer.send(Buffer.concat([header, desktop]))
  await peer.closed({ timeoutMs: 60_000 })
}

/**
 * Opens the console of `server` until the client sees the desktop or the session ends. Returns `shown` or the close code, and
 * what the log says.
 */
export async function consoleOf(toml: string, server: RunOptions['server'], desktop: string) {
  await using run = await running({ toml, server, guest: desktopCalled(desktop) })
  using client = await open(run.address)
  client.ws.send(Buffer.of(1))
  const shown = client.read(24).then(() => 'shown')
  const closed = client.closed().then(({ code }) => code)
  const outcome = await Promise.race([shown, closed])
  shown.catch(() => {})
  const warned = run.log.records('this guest may not be the instance').map(({ detail }) => detail)
  return { outcome, warned, detail: String(run.log.records('session ended')[0]?.detail) }
}
