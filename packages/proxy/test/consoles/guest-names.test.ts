/** The names that identify an instance's guest: those that its tenant cannot choose. */
import type { Peer } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { INSTANCE, open, type RunOptions, running } from '../fixture.ts'

const ENFORCE = '[hypervisor]\nidentity = "enforce"'
const LIBVIRT_NAME = 'instance-0000002a'

/** Plays QEMU's VNC server from ClientInit on, for a guest with this name. */
const guestCalled = (name: string) => async (peer: Peer) => {
  const desktop = Buffer.from(`QEMU (${name})`)
  const header = Buffer.alloc(24)
  header.writeUInt32BE(desktop.length, 20)
  await peer.read(1)
  await peer.send(Buffer.concat([header, desktop]))
  await peer.closed({ timeoutMs: 60_000 })
}

/** Opens the console of `server`, whose guest is named `guest`, and returns the result for the client. */
async function consoleOf(server: RunOptions['server'], guest: string) {
  await using run = await running({ toml: ENFORCE, server, guest: guestCalled(guest) })
  using client = await open(run.address)
  client.ws.send(Buffer.of(1))
  const shown = client.read(24).then(() => 'shown')
  const closed = client.closed().then(({ code }) => code)
  const outcome = await Promise.race([shown, closed])
  shown.catch(() => {})
  return { outcome, detail: String(run.log.records('session ended')[0]?.detail) }
}

describe('with identity enforced before Nova, a guest', () => {
  it.each([
    ['the name that libvirt gave it', LIBVIRT_NAME],
    ['its UUID', INSTANCE],
  ])('is shown under %s', async (_, guest) => {
    const server = { name: 'web-1', instanceName: LIBVIRT_NAME }
    expect((await consoleOf(server, guest)).outcome).toBe('shown')
  })

  it('is refused when its libvirt name equals only the display name that the tenant chose', async () => {
    const server = { name: 'instance-0000002b', instanceName: LIBVIRT_NAME }
    const { outcome, detail } = await consoleOf(server, 'instance-0000002b')
    expect(outcome).toBe(4009)
    expect(detail).toContain('the guest is "instance-0000002b"; the instance is "instance-0000002a"')
  })

  it('is refused under the display name when Nova hides the libvirt name, and the log names the role', async () => {
    const { outcome, detail } = await consoleOf({ name: 'instance-0000002b' }, 'instance-0000002b')
    expect(outcome).toBe(4009)
    expect(detail).toContain(
      'OS-EXT-SRV-ATTR:instance_name from the proxy, whose credential needs the role admin, or one that context_is_admin and os_compute_api:os-extended-server-attributes name',
    )
  })
})
