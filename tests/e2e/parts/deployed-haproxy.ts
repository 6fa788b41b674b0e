/** Starts HAProxy with deploy/haproxy.cfg: two apis and two proxies, each pair behind one port. */
import { readFile } from 'node:fs/promises'
import type { RunningProgram } from '@oriel/testkit'
import { startHaproxy } from './haproxy.ts'

export interface DeployedPorts {
  /** HAProxy's port for consoles. */
  readonly publicPort: number
  /** HAProxy's port for the apis. */
  readonly apiPort: number
  readonly apiPorts: readonly number[]
  readonly proxyPorts: readonly number[]
}

/**
 * Starts it with other ports.
 * @param more lines for its section `global`, and parameters of each `server`
 * @throws Error if the file lacks one of the addresses
 */
export async function startDeployedHaproxy(
  { publicPort, apiPort, apiPorts, proxyPorts }: DeployedPorts,
  more: { readonly global?: string; readonly server?: string } = {},
): Promise<RunningProgram> {
  let config = await readFile(new URL('../../../deploy/haproxy.cfg', import.meta.url), 'utf8')
  const places = {
    '127.0.0.1:8443': publicPort,
    '127.0.0.1:8775': apiPort,
    '127.0.0.1:6080': proxyPorts[0],
    '127.0.0.2:6080': proxyPorts[1],
    '127.0.0.1:8774': apiPorts[0],
    '127.0.0.2:8774': apiPorts[1],
  }
  for (const [address, port] of Object.entries(places)) {
    if (!config.includes(address)) throw new Error(`deploy/haproxy.cfg has no ${address}`)
    config = config.replace(address, `127.0.0.1:${port}`)
  }
  if (more.global) config = config.replace(/^global$/m, `global\n  ${more.global}`)
  if (more.server) config = config.replaceAll(/^( {2}server .*)$/gm, `$1 ${more.server}`)
  return startHaproxy(config, publicPort, apiPort)
}
