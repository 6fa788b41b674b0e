/** The key `hypervisor.identity`, and what it is when nobody set it. */
import type { ProxyConfig } from '../config.ts'
import type { IdentitySetting } from './console.ts'

/**
 * The setting in force. With kind nova the guest must be the instance, as Nova's own proxies see to it; oriel-api looks for
 * itself where a console is, and may call a server by a name that its guest does not show.
 */
export const identityOf = ({ authority, hypervisor }: Pick<ProxyConfig, 'authority' | 'hypervisor'>): IdentitySetting =>
  hypervisor.identity ?? (authority.kind === 'nova' ? 'enforce' : 'warn')
