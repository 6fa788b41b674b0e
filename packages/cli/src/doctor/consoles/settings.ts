/** The configuration keys that remedies name. */
import type { OpenableConsoleType } from '@oriel/contract'
import type { Side } from '../problem.ts'

/** The facts about a cloud that decide which keys a remedy names. */
export interface CloudFacts {
  /** Whether the API is Oriel's. Otherwise it is Nova's. */
  readonly isOriel: boolean
  /** Whether the endpoint is on this machine. */
  readonly isLocal: boolean
  /** Whether the endpoint is encrypted. */
  readonly isTls: boolean
}

/** Nova's options with the base URLs of consoles (nova/conf/vnc.py, spice.py, serial_console.py, mks.py). */
const novaOptions: Partial<Record<OpenableConsoleType, string>> = {
  novnc: '[vnc] novncproxy_base_url',
  'spice-html5': '[spice] html5proxy_base_url',
  'spice-direct': '[spice] spice_direct_proxy_base_url',
  serial: '[serial_console] base_url',
  webmks: '[mks] mksproxy_base_url',
}

/** Returns the key with the base URL of a type's consoles, and its file. */
export function baseUrlKey(type: OpenableConsoleType, { isOriel }: Pick<CloudFacts, 'isOriel'>): string {
  if (isOriel) return `consoles.${type}.base_url of oriel-api`
  return `${novaOptions[type] ?? 'the base URL'} in nova.conf of every compute node`
}

/** The side on which that key is. */
export const baseUrlSide = ({ isOriel }: Pick<CloudFacts, 'isOriel'>): Side => (isOriel ? 'oriel-api' : 'Nova')
