/** `[hypervisor]`: how the leg to hypervisors is dialled, secured and checked. */
import {
  type ConfigFault,
  caFaults,
  certificateFaults,
  host,
  hostRecord,
  milliseconds,
  oneOf,
  optionalText,
  pem,
  secretPem,
  secretString,
  table,
} from '@oriel/runtime'
import * as Type from 'typebox'

const identitySettings = ['off', 'warn', 'enforce'] as const

/** Whether the guest must be the instance, and what happens if it is not. The key `hypervisor.identity`. */
export type IdentitySetting = (typeof identitySettings)[number]

/** `[hypervisor.spice]`: the leg to hypervisors. */
const spiceTable = table({
  ca: Type.Optional(pem({ description: "Who signed the hypervisors' certificates. Default: those that Node knows." })),
  subject: optionalText("The subject of a certificate that does not name its host; {host} stands for the host's name."),
  allow_plaintext: Type.Optional(
    Type.Boolean({
      description: 'Whether a hypervisor may be dialled in clear. Default: only on this machine itself.',
    }),
  ),
  password: Type.Optional(
    secretString({ description: "The ticket of every hypervisor, such as libvirt's spice_password." }),
  ),
})

/** `[hypervisor]`. */
export const hypervisorTable = table(
  {
    dial_timeout_ms: milliseconds(5000, 'Deadline of a connection to a hypervisor.'),
    handshake_timeout_ms: milliseconds(
      10_000,
      'Deadline of what follows it, for consoles in a browser: RFB, VeNCrypt with its TLS, or CONNECT.',
    ),
    vnc: table(
      {
        auth_schemes: Type.Array(oneOf(['vencrypt', 'none']), {
          default: ['none'],
          minItems: 1,
          uniqueItems: true,
          description: 'How the leg to a VNC console may be secured, the preferred scheme first.',
        }),
        ca: Type.Optional(
          pem({ description: "Who signed the hypervisors' certificates: PEM, or the name of a file with it." }),
        ),
        cert: Type.Optional(pem({ description: 'The certificate that the proxy shows to hypervisors.' })),
        key: Type.Optional(secretPem({ description: 'Its private key.' })),
      },
      { default: {} },
    ),
    spice: Type.Optional(spiceTable),
    hosts: hostRecord(
      table({
        name: Type.Optional(host({ description: 'Whom the certificate of the hypervisor at this address must name.' })),
        subject: optionalText('The subject of its certificate, where that names no host (SPICE).'),
      }),
      { default: {} },
    ),
    identity: Type.Optional(
      oneOf(identitySettings, {
        description:
          'Whether the guest behind the port must be the instance. off: it is not checked; warn: another guest is logged; enforce: it is refused. Default: enforce with authority.kind nova, warn with oriel.',
      }),
    ),
  },
  { default: {} },
)

export type HypervisorConfig = Type.Static<typeof hypervisorTable>

/** Finds faults between keys, each of which is valid by itself. */
export function hypervisorFaults({ vnc }: HypervisorConfig): ConfigFault[] {
  const { auth_schemes, ca, cert, key } = vnc
  const fault = (name: string, message: string): ConfigFault => ({ path: `hypervisor.vnc.${name}`, message })
  if (!auth_schemes.includes('vencrypt')) {
    const unused = Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined)
    return unused.map(([name]) => fault(name, 'is for vencrypt, which hypervisor.vnc.auth_schemes does not name'))
  }
  if (cert === undefined && key !== undefined) return [fault('cert', 'is missing, key is its private key')]
  if (cert !== undefined && key === undefined) return [fault('key', 'is missing, the private key of cert')]
  return [
    ...(ca === undefined ? [] : caFaults('hypervisor.vnc.ca', ca)),
    ...(cert === undefined || key === undefined ? [] : certificateFaults('hypervisor.vnc', { cert, key })),
  ]
}
