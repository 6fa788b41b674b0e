/** `[hypervisor.hosts]`: the settings of single hypervisors, by canonical address or name (`canonicalHost`). */
import { canonicalHost } from '@oriel/runtime'

export interface HypervisorHost {
  /** The name that its certificate must have. Default: the address that is dialled. */
  readonly name?: string | undefined
  /** The subject of its certificate, for one that does not name the host. */
  readonly subject?: string | undefined
  /** The name of its desktops, for a VNC server that is not QEMU; {@link EXEMPT} to check none. Default: QEMU's. */
  readonly identity?: string | undefined
}

export type HypervisorHosts = Readonly<Record<string, HypervisorHost>>

/** The `identity` of a host whose desktops are not checked. */
export const EXEMPT = 'off'

/** Returns the settings of the hypervisor at `host`. */
export function settingsOf(hosts: HypervisorHosts, host: string): HypervisorHost {
  const key = canonicalHost(host)
  return Object.hasOwn(hosts, key) ? hosts[key]! : {}
}
