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
  pathPattern,
  pem,
  secretPem,
  secretString,
  table,
} from '@oriel/runtime'
import * as Type from 'typebox'

const identitySettings = ['off', 'warn', 'enforce'] as const

/** Whether the guest must be the instance, and what happens if it is not. The key `hypervisor.identity`. */
export type IdentitySetting = (typeof identitySettings)[number]

/** `[hypervisor.spice]`: the leg to SPICE servers. */
const spiceTable = table({
  ca: Type.Optional(pem({ description: "The CA of the hypervisors' certificates. Default: Node's CAs." })),
  subject: optionalText(
    "The subject of certificates that do not contain the host name; {host} is replaced with the host's name.",
  ),
  allow_plaintext: Type.Optional(
    Type.Boolean({
      description: 'Whether hypervisors may be dialled in plaintext. Default: only on loopback and at Unix sockets.',
    }),
  ),
  password: Type.Optional(
    secretString({ description: "The SPICE password of all hypervisors, such as libvirt's spice_password." }),
  ),
})

/** `[hypervisor]`. */
export const hypervisorTable = table(
  {
    dial_timeout_ms: milliseconds(5000, 'Deadline for connecting to a hypervisor.'),
    handshake_timeout_ms: milliseconds(
      10_000,
      'Deadline for the handshake after that, for consoles in a browser: RFB, VeNCrypt with TLS, or CONNECT.',
    ),
    vnc: table(
      {
        auth_schemes: Type.Array(oneOf(['vencrypt', 'vnc_auth', 'none']), {
          default: ['none'],
          minItems: 1,
          uniqueItems: true,
          description: 'Accepted security schemes of the connection to a VNC server, the preferred one first.',
        }),
        ca: Type.Optional(
          pem({
            description:
              "The CA of the hypervisors' certificates: PEM, or the name of a file with it. Default: Node's CAs.",
          }),
        ),
        cert: Type.Optional(pem({ description: "The proxy's client certificate for hypervisors." })),
        key: Type.Optional(secretPem({ description: 'The private key of hypervisor.vnc.cert.' })),
        password: Type.Optional(
          secretString({
            description:
              "The password of VNC servers, such as libvirt's vnc_password, for vnc_auth and inside the TLS of vencrypt. Only its first 8 bytes count. With authority.kind oriel: of those for which oriel-api names none.",
          }),
        ),
      },
      { default: {} },
    ),
    spice: Type.Optional(spiceTable),
    unix_sockets: Type.Array(pathPattern(), {
      default: [],
      description:
        'With authority.kind oriel: patterns of the Unix sockets on this host that may be consoles, such as /run/oriel/*.sock; * matches any characters of a name, ? one. Links are resolved before. List no socket of another service, such as a QMP monitor. Default: none.',
    }),
    hosts: hostRecord(
      table({
        name: Type.Optional(host({ description: "The host name that this hypervisor's certificate must contain." })),
        subject: optionalText("The subject of this hypervisor's certificate, if it contains no host name (SPICE)."),
        identity: Type.Optional(
          Type.String({
            minLength: 1,
            pattern: '^(?!(?:warn|enforce)$)',
            'x-remedy': 'the name of its desktops, or off; hypervisor.identity decides whether another one is refused',
            description:
              "The name that desktops of a VNC server other than QEMU must have, such as x11vnc's -desktop; {instance} is replaced with the instance's libvirt name or UUID. off: they are not checked. Default: QEMU ({instance}).",
          }),
        ),
      }),
      { default: {} },
    ),
    identity: Type.Optional(
      oneOf(identitySettings, {
        description:
          'Whether to check that the guest behind the port is the instance. off: not checked; warn: another guest is logged; enforce: another guest is refused. Default: enforce with authority.kind nova, warn with oriel.',
      }),
    ),
  },
  { default: {} },
)

export type HypervisorConfig = Type.Static<typeof hypervisorTable>

/** Finds faults between keys, each of which is valid by itself. */
export const hypervisorFaults = (
  { vnc, unix_sockets }: HypervisorConfig,
  authority: 'nova' | 'oriel',
): ConfigFault[] => [
  ...passwordFaults(vnc, authority),
  ...socketFaults(unix_sockets, authority),
  ...(vnc.auth_schemes.includes('vencrypt') ? tlsFaults(vnc) : needlessTls(vnc)),
]

function socketFaults(patterns: readonly string[], authority: 'nova' | 'oriel'): ConfigFault[] {
  if (patterns.length === 0) return []
  const path = 'hypervisor.unix_sockets'
  if (authority === 'nova')
    return [{ path, message: 'has no effect with authority.kind "nova", which names no Unix sockets: remove it' }]
  if (process.platform !== 'linux') return [{ path, message: 'works only on Linux: remove it' }]
  return []
}

type VncConfig = HypervisorConfig['vnc']

const fault = (name: string, message: string): ConfigFault => ({ path: `hypervisor.vnc.${name}`, message })

/** oriel-api may name the password of each server. */
function passwordFaults({ auth_schemes, password }: VncConfig, authority: 'nova' | 'oriel'): ConfigFault[] {
  if (password === undefined && auth_schemes.includes('vnc_auth') && authority === 'nova')
    return [fault('password', 'missing: add the password for vnc_auth, or remove that scheme')]
  if (password === undefined || auth_schemes.some((scheme) => scheme !== 'none')) return []
  const message =
    'has no effect without vencrypt or vnc_auth: add one to hypervisor.vnc.auth_schemes, or remove this key'
  return [fault('password', message)]
}

function needlessTls({ ca, cert, key }: VncConfig): ConfigFault[] {
  const unused = Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined)
  const message = 'has no effect without vencrypt: add it to hypervisor.vnc.auth_schemes, or remove this key'
  return unused.map(([name]) => fault(name, message))
}

function tlsFaults({ ca, cert, key }: VncConfig): readonly ConfigFault[] {
  if (cert === undefined && key !== undefined)
    return [fault('cert', 'missing: add the certificate of hypervisor.vnc.key, or remove that key')]
  if (cert !== undefined && key === undefined)
    return [fault('key', 'missing: add the private key of hypervisor.vnc.cert')]
  return [
    ...(ca === undefined ? [] : caFaults('hypervisor.vnc.ca', ca)),
    ...(cert === undefined || key === undefined ? [] : certificateFaults('hypervisor.vnc', { cert, key })),
  ]
}
