/** The names that identify an instance's guest: those that its tenant cannot choose. */
import { describe, expect, it } from 'vitest'
import { INSTANCE, type RunOptions } from '../fixture.ts'
import { consoleOf } from './named-desktop.ts'

const ENFORCE = '[hypervisor]\nidentity = "enforce"'
const LIBVIRT_NAME = 'instance-0000002a'

/** Opens the console of `server`, whose guest is named `guest` by QEMU. */
const consoleFor = (server: RunOptions['server'], guest: string) => consoleOf(ENFORCE, server, `QEMU (${guest})`)

describe('with identity enforced before Nova, a guest', () => {
  it.each([
    ['the name that libvirt gave it', LIBVIRT_NAME],
    ['its UUID', INSTANCE],
  ])('is shown under %s', async (_, guest) => {
    const server = { name: 'web-1', instanceName: LIBVIRT_NAME }
    expect((await consoleFor(server, guest)).outcome).toBe('shown')
  })

  it('is refused when its libvirt name equals only the display name that the tenant chose', async () => {
    const server = { name: 'instance-0000002b', instanceName: LIBVIRT_NAME }
    const { outcome, detail } = await consoleFor(server, 'instance-0000002b')
    expect(outcome).toBe(4009)
    expect(detail).toContain('the guest is "instance-0000002b"; the instance is "instance-0000002a"')
  })

  it('is refused under the display name when Nova hides the libvirt name, and the log names the role', async () => {
    const { outcome, detail } = await consoleFor({ name: 'instance-0000002b' }, 'instance-0000002b')
    expect(outcome).toBe(4009)
    expect(detail).toContain(
      'OS-EXT-SRV-ATTR:instance_name from the proxy, whose credential needs the role admin, or one that context_is_admin and os_compute_api:os-extended-server-attributes name',
    )
  })
})
