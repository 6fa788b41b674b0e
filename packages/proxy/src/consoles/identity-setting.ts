/** The key `hypervisor.identity` and its default. */
import type { ProxyConfig } from '../config.ts'
import type { IdentitySetting } from './console.ts'

/**
 * The setting in force. With kind nova the default is `enforce`, since Nova's own proxies make sure of the instance as well;
 * oriel-api looks the console up itself, and may call a server by a name that its guest does not show.
 */
export const identityOf = ({ authority, hypervisor }: Pick<ProxyConfig, 'authority' | 'hypervisor'>): IdentitySetting =>
  hypervisor.identity ?? (authority.kind === 'nova' ? 'enforce' : 'warn')
