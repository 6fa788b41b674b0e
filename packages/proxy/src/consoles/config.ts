/** `[consoles]`, and the settings that console types are created from. */
import { createSecureContext } from 'node:tls'
import { type ConfigFault, table } from '@oriel/runtime'
import * as Type from 'typebox'
import type { HypervisorConfig } from '../hypervisor/config.ts'
import type { ReplaySettings } from '../serial/hub.ts'
import type { ConsoleSettings } from './index.ts'
import type { VncSettings } from './novnc.ts'

/** `[consoles]`: settings of single console types. */
export const consolesTable = table(
  {
    novnc: table(
      {
        continuous_updates: Type.Boolean({
          default: true,
          description:
            'Whether the proxy requests updates for pages whose VNC server has no continuous updates, such as QEMU. Busy screens then show more pictures per second over a slow or distant connection.',
        }),
        max_updates_per_second: Type.Integer({
          default: 30,
          minimum: 1,
          maximum: 60,
          description:
            'With continuous_updates: how many updates the proxy requests for each session, on average. Each costs the hypervisor the encoding of the areas that changed.',
        }),
      },
      { default: {} },
    ),
    serial: table(
      {
        replay_bytes: Type.Integer({
          default: 65_536,
          minimum: 0,
          maximum: 1_048_576,
          description:
            'The last bytes of output of each serial port that a later viewer receives, kept in memory; 0: none.',
        }),
        replay_seconds: Type.Integer({
          default: 60,
          minimum: 0,
          maximum: 86_400,
          description: 'How long this output is kept after the last session of the port.',
        }),
        standing: Type.Boolean({
          default: false,
          description:
            'With authority.kind oriel: whether the proxy attaches to the serial ports of all servers that run, before anybody views them. Viewers then see the output from the first byte, and os-getConsoleOutput returns it.',
        }),
        standing_ports: Type.Integer({
          default: 1000,
          minimum: 1,
          maximum: 100_000,
          description:
            'With standing: the maximum number of ports. Each takes up to replay_bytes of memory, once that much was printed.',
        }),
      },
      { default: {} },
    ),
  },
  { default: {} },
)

export interface ConsoleParts {
  readonly hypervisor: HypervisorConfig
  readonly consoles: Type.Static<typeof consolesTable>
}

/** @throws the error of `node:tls` for certificates that `hypervisorFaults` names */
export const consoleSettings = ({ hypervisor, consoles }: ConsoleParts): ConsoleSettings => ({
  vnc: vncSettings(hypervisor, updatesOf(consoles.novnc)),
  serialReplay: replayOf(consoles.serial),
})

const updatesOf = ({ continuous_updates, max_updates_per_second }: ConsoleParts['consoles']['novnc']) =>
  continuous_updates ? { maxPerSecond: max_updates_per_second } : undefined

/** Standing ports do not displace the replays of others. */
const replayOf = ({ replay_bytes, replay_seconds, standing, standing_ports }: SerialConfig): ReplaySettings => ({
  maxBytes: replay_bytes,
  keepMs: replay_seconds * 1000,
  maxPorts: MAX_REPLAYS + (standing ? standing_ports : 0),
})

const MAX_REPLAYS = 1000
type SerialConfig = ConsoleParts['consoles']['serial']

/** Finds faults between keys, each of which is valid by itself. */
export function consolesFaults(
  { serial }: ConsoleParts['consoles'],
  authority: 'nova' | 'oriel',
): readonly ConfigFault[] {
  if (!serial.standing) return []
  const path = 'consoles.serial.standing'
  if (authority === 'nova')
    return [{ path, message: 'needs authority.kind "oriel", since Nova does not say which servers run: remove it' }]
  if (serial.replay_bytes > 0) return []
  return [{ path, message: 'needs memory for the output: set consoles.serial.replay_bytes above 0, or remove it' }]
}

export function vncSettings({ vnc, hosts }: HypervisorConfig, updates?: VncSettings['updates']): VncSettings {
  const secure = vnc.auth_schemes.includes('vencrypt')
  const tls = { context: contextOf(vnc), expected: { hosts }, hasCertificate: vnc.cert !== undefined }
  return { schemes: vnc.auth_schemes, password: vnc.password, hosts, updates, ...(secure ? { tls } : {}) }
}

type VncConfig = HypervisorConfig['vnc']
type Pems = { readonly [Name in 'ca' | 'cert' | 'key']?: VncConfig[Name] | undefined }

function contextOf({ ca, cert, key }: Pems) {
  return createSecureContext({
    // An intermediate CA is trusted without its root, because the operator configured it.
    ...(ca === undefined ? {} : { ca, allowPartialTrustChain: true }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: key.reveal() }),
    minVersion: 'TLSv1.2',
  })
}
