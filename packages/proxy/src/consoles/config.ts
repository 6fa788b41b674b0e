/** `[consoles]`, and the settings that console types are created from. */
import { createSecureContext } from 'node:tls'
import { table } from '@oriel/runtime'
import * as Type from 'typebox'
import type { HypervisorConfig } from '../hypervisor/config.ts'
import type { ConsoleSettings } from './index.ts'
import type { VncSettings } from './novnc.ts'

/** `[consoles]`: settings of single console types. */
export const consolesTable = table(
  {
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
  vnc: vncSettings(hypervisor),
  serialReplay: { maxBytes: consoles.serial.replay_bytes, keepMs: consoles.serial.replay_seconds * 1000 },
})

export function vncSettings({ vnc, hosts }: HypervisorConfig): VncSettings {
  const secure = vnc.auth_schemes.includes('vencrypt')
  const tls = { context: contextOf(vnc), expected: { hosts }, hasCertificate: vnc.cert !== undefined }
  return { schemes: vnc.auth_schemes, password: vnc.password, hosts, ...(secure ? { tls } : {}) }
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
