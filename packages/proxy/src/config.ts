/**
 * `proxy.toml`. The schema knows every key that operators may write; `refineProxyConfig` refuses, by name, what this
 * version does not do yet, so that no key is ever ignored in silence.
 */
import { isConsoleType, openableConsoleTypes } from '@oriel/contract'
import {
  type ConfigFault,
  certificateFaults,
  host,
  hostRecord,
  isLoopback,
  type ListenKey,
  listenAddress,
  network,
  parseListen,
  pem,
  secretPem,
  secretString,
  sha256Digest,
  sharedAddresses,
  webUrl,
} from '@oriel/runtime'
import * as Type from 'typebox'
import { forwardedHeaders } from './admit/forwarded.ts'
import { allowedOrigin } from './admit/origin.ts'
import { authorityFaults } from './authority/config.ts'
import { authorityKinds } from './authority/index.ts'
import { isNativeType, servedConsoleTypes } from './consoles/kinds.ts'
import { vncFaults } from './consoles/vnc-config.ts'
import { servesSpice, spiceFaults, spiceHypervisorTable, spiceTable } from './spice/config.ts'

const table = <P extends Type.TProperties>(properties: P, options: Type.TObjectOptions = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false })
const optionalText = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
const oneOf = <const V extends readonly string[]>(values: V, options: Type.TSchemaOptions = {}) =>
  Type.Unsafe<V[number]>({ ...options, enum: values })
const texts = (description: string) => Type.Array(Type.String({ minLength: 1 }), { default: [], description })
const count = (value: number, description: string) => Type.Integer({ default: value, minimum: 1, description })
/** No longer than what timers take. */
const seconds = (value: number, description: string, minimum = 0) =>
  Type.Integer({ default: value, minimum, maximum: 2_147_483, description })
const milliseconds = (value: number, description: string) =>
  Type.Integer({ default: value, minimum: 1, maximum: 120_000, description })

const listenerTls = table({
  cert: pem({ description: 'The certificate and its chain: PEM, or the name of a file with it.' }),
  key: secretPem({ description: 'Its private key: PEM, or the name of a file with it.' }),
  min_version: oneOf(['TLSv1.2', 'TLSv1.3'], {
    default: 'TLSv1.2',
    description: 'The oldest TLS that clients may use.',
  }),
  ciphers: optionalText("OpenSSL's list of ciphers. Default: Node's."),
})

/** `fetch` throws at a control character, with the header's value in its message. */
const headerValue = { pattern: '^[^\\x00-\\x1f\\x7f]+$', 'x-remedy': 'the token alone, in one line' }
const userKeys = {
  auth_url: webUrl({ description: 'Keystone v3, with or without /v3. This and the next keys as in clouds.yaml.' }),
  user_id: optionalText('The service user by id, instead of username.'),
  username: optionalText('The service user by name; give its domain too.'),
  user_domain_id: optionalText("The user's domain."),
  user_domain_name: optionalText("The user's domain, by name."),
}
const method = <const M extends string>(name: M) =>
  Type.Literal(name, {
    description:
      'How the proxy signs in at the authority. With none, listeners on loopback serve only programs and pages of this machine, and hosts in origin.allowed.',
  })
/** The service's own credentials towards the authority, with the keys of `clouds.yaml`. */
const authorityAuth = Type.Union(
  [
    table({ method: method('none') }),
    table({ method: method('token'), token: secretString({ ...headerValue, description: 'Sent as X-Auth-Token.' }) }),
    table({
      method: method('password'),
      ...userKeys,
      password: secretString({ description: "The service user's password." }),
      project_id: optionalText('The project to sign in to, by id, instead of project_name.'),
      project_name: optionalText('The project by name; give its domain too.'),
      project_domain_id: optionalText("The project's domain."),
      project_domain_name: optionalText("The project's domain, by name."),
    }),
    table({
      method: method('application_credential'),
      ...userKeys,
      application_credential_id: optionalText('The credential by id, instead of application_credential_name.'),
      application_credential_name: optionalText('The credential by name; give its user too.'),
      application_credential_secret: secretString({ description: 'Its secret.' }),
    }),
  ],
  { default: { method: 'none' } },
)

const authority = table({
  kind: oneOf(['nova', 'oriel'], {
    default: 'nova',
    description:
      'Who says what a token means: GET /os-console-auth-tokens of any Nova, or the fuller exchange with oriel-api.',
  }),
  endpoint: Type.Optional(
    webUrl({
      description:
        "The compute endpoint, such as http://controller:8774/v2.1. Without it the proxy takes the one of the service compute in Keystone's catalogue, which takes auth.method password or application_credential.",
    }),
  ),
  region: optionalText('Whose endpoint is taken from the catalogue. Default: the first that the catalogue names.'),
  interface: Type.Optional(
    oneOf(['public', 'internal', 'admin'], {
      description: 'Which of its addresses is taken from the catalogue. Default: public.',
    }),
  ),
  cafile: Type.Optional(
    pem({
      description:
        'Who may have signed the certificates of the endpoint and of Keystone: PEM, or the name of a file with it. Default: those whom Node knows. Certificates are always checked.',
    }),
  ),
  timeout_ms: milliseconds(5000, 'Deadline of one look-up.'),
  validate: Type.Optional(
    oneOf(['fresh', 'state', 'off'], {
      description:
        'With kind nova: how the proxy confirms, before it relays a byte, that a console still belongs to the instance. fresh: it creates a new console of the instance and dials that; state: it checks the state and host of the server. Default: fresh if Nova lets the service user create consoles, else state.',
    }),
  ),
  proxy_id: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._-]{1,64}$',
      description:
        'By which oriel-api knows this proxy, with kind oriel; no two may have the same. Default: the host name and random digits.',
      'x-remedy': 'letters, digits, dots, dashes and underscores, at most 64',
    }),
  ),
  auth: authorityAuth,
})

const listener = table({
  address: listenAddress(),
  consoles: Type.Array(Type.Union(openableConsoleTypes.map((type) => Type.Literal(type))), {
    minItems: 1,
    uniqueItems: true,
    description: 'What is served here; several types are served each below its own prefix, such as /novnc/.',
  }),
  tls: Type.Optional(listenerTls),
  base_url: Type.Optional(
    Type.String({
      pattern: '^https?://[^\\s/?#@]+/?$',
      'x-remedy': 'the public scheme and host, such as https://console.example',
      description:
        'The public scheme and host of this listener, behind a balancer that changes either without saying so. Default: the Host of each request, and https if the listener has tls or a trusted proxy sends X-Forwarded-Proto: https.',
    }),
  ),
  proxy_protocol: Type.Boolean({
    default: false,
    description:
      'Whether every connection begins with a PROXY header (version 1 or 2) from an address in origin.trusted_proxies.',
  }),
})

const hypervisor = table(
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
    spice: Type.Optional(spiceHypervisorTable),
    hosts: hostRecord(
      table({
        name: Type.Optional(host({ description: 'Whom the certificate of the hypervisor at this address must name.' })),
        subject: optionalText('The subject of its certificate, where that names no host (SPICE).'),
      }),
      { default: {} },
    ),
    identity: Type.Optional(
      oneOf(['off', 'warn', 'enforce'], {
        description:
          'Whether the guest behind the port must be the instance. off: it is not checked; warn: another guest is logged; enforce: it is refused. Default: enforce with authority.kind nova, warn with oriel.',
      }),
    ),
  },
  { default: {} },
)

const sessions = table(
  {
    max_total: count(10_000, 'Consoles open at once.'),
    max_per_token: count(32, 'With one token; SPICE in a browser opens about ten.'),
    max_per_instance: count(16, 'To one machine.'),
    max_per_client: count(64, 'From one address (of IPv6, from one /64).'),
    max_waiting_per_client: count(
      256,
      'Connections from one address (of IPv6, from one /64) that have no console yet; a worker counts its own.',
    ),
    unknown_tokens_per_minute: count(
      120,
      'Look-ups for one address (of IPv6, one /64) that find no such token; a worker counts its own.',
    ),
    single_use: Type.Boolean({
      default: false,
      description:
        'Whether a token opens a console once: its URL is worth nothing to whoever reads it later, nor to a client that dials again.',
    }),
    idle_timeout_seconds: seconds(0, 'Without input from the client; 0: for ever.'),
    max_seconds: seconds(0, 'How long a console may be open; 0: for ever.'),
    enforce_token_expiry: Type.Boolean({
      default: false,
      description: 'Ends a session when its token expires, where the authority says when that is.',
    }),
    ping_interval_seconds: seconds(25, 'Between pings, which keep idle consoles through load balancers; 0: none.'),
    drain_seconds: seconds(30, 'How long a stop waits for clients to close.'),
    workers: count(1, 'Processes that share the listeners.'),
    max_buffered_mib: count(
      512,
      'Memory for output to slow clients, over all sessions and workers. Beyond it, the clients that have read nothing for the longest are dropped.',
    ),
  },
  { default: {} },
)

/** What the relay of a console type does beyond relaying. */
const consoles = table(
  {
    serial: table(
      {
        replay_bytes: Type.Integer({
          default: 0,
          minimum: 0,
          maximum: 1_048_576,
          description: 'Output of a serial port that is kept in memory and shown to whoever opens it again; 0: none.',
        }),
        replay_seconds: Type.Integer({
          default: 60,
          minimum: 0,
          maximum: 86_400,
          description: 'How long it is kept after the last session of that port.',
        }),
      },
      { default: {} },
    ),
  },
  { default: {} },
)

/** The schema of `proxy.toml`. */
export const proxyConfig = table({
  authority,
  listen: Type.Array(listener, { minItems: 1 }),
  spice: Type.Optional(spiceTable),
  origin: table(
    {
      allowed: texts(
        'Host names, or origins such as https://horizon.example, whose pages may open consoles here and show them in frames.',
      ),
      trusted_proxies: Type.Array(network(), {
        default: [],
        description: 'Addresses and CIDRs whose X-Forwarded-* and Forwarded count.',
      }),
      forwarded_header: Type.Optional(
        oneOf(forwardedHeaders, {
          description:
            'Which of them the balancers write; the other is ignored. Default: both are read, and clients for which they disagree share the limits of one address.',
        }),
      ),
    },
    { default: {} },
  ),
  hypervisor,
  sessions,
  consoles,
  home: table(
    { api_url: optionalText('The API whose servers the page at / lists. Absent: it says what this place is.') },
    { default: {} },
  ),
  admin: Type.Optional(
    table({
      listen: Object.assign(listenAddress('127.0.0.1:6079'), {
        description:
          'Where /healthz, /readyz, /metrics and /sessions are answered, as host:port; without a table [admin], nowhere.',
      }),
      token_sha256: Type.Optional(sha256Digest({ description: 'SHA-256 of the token for /sessions.' })),
    }),
  ),
})

export type ProxyConfig = Type.Static<typeof proxyConfig>
export type AuthorityConfig = ProxyConfig['authority']
export type ListenerConfig = ProxyConfig['listen'][number]

/** Every fault that concerns what this version offers, or several keys at once. For `loadConfig`'s `refine`. */
export function refineProxyConfig(config: ProxyConfig): readonly ConfigFault[] {
  return [
    ...unavailable(config),
    ...authorityFaults(config.authority),
    ...wrongOrigins(config),
    ...wrongTls(config),
    ...wrongProxyProtocol(config),
    ...wrongWorkers(config),
    ...wrongAdmin(config),
    ...vncFaults(config.hypervisor),
    ...unverified(),
    ...spiceFaults(config, servesSpice(config.listen.flatMap(servedTypes))),
    ...sharedAddresses(listenKeys(config)),
  ]
}

/** Every key whose address is listened on. */
export function listenKeys({
  listen,
  spice,
  admin,
}: Pick<ProxyConfig, 'listen' | 'spice' | 'admin'>): readonly ListenKey[] {
  const native = servesSpice(listen.flatMap(servedTypes))
    ? { 'spice.listen': spice?.listen, 'spice.tls_listen': spice?.tls_listen }
    : {}
  const others = Object.entries({ ...native, 'admin.listen': admin?.listen })
  return [
    ...listen.map(({ address }, i) => ({ path: `listen[${i}].address`, address })),
    ...others.flatMap(([path, address]) => (address === undefined ? [] : [{ path, address }])),
  ]
}

function unavailable({ authority, listen }: ProxyConfig): ConfigFault[] {
  const types = listen.flatMap(({ consoles }, i) => consoles.map((type) => ({ type, path: `listen[${i}].consoles` })))
  const unserved = types.filter(({ type }) => !servedConsoleTypes.some((served) => served === type))
  return [
    ...(authorityKinds.some((kind) => kind === authority.kind) ? [] : [absent('authority.kind', authority.kind)]),
    ...unserved.map(({ type, path }) => absent(path, type)),
  ]
}

/** Node has a variable that makes every certificate good; nothing here may run under it. */
function unverified(): ConfigFault[] {
  const name = 'NODE_TLS_REJECT_UNAUTHORIZED'
  if (process.env[name] !== '0') return []
  return [{ path: name, message: 'switches the verification of certificates off, take it out of the environment' }]
}

const absent = (path: string, feature: string): ConfigFault => ({
  path,
  message: `${feature} is not available in this version, leave it out`,
})

const wrongOrigins = ({ origin }: ProxyConfig): ConfigFault[] =>
  origin.allowed.flatMap((entry, i) => faultOf(`origin.allowed[${i}]`, () => allowedOrigin(entry)))

function faultOf(path: string, parse: () => unknown): ConfigFault[] {
  try {
    parse()
    return []
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return [{ path, message: error.message }]
  }
}

/** Without a token, only this machine may see who has which console open. */
function wrongAdmin({ admin }: ProxyConfig): ConfigFault[] {
  if (!admin || admin.token_sha256 !== undefined || isLoopback(parseListen(admin.listen).host)) return []
  const message = 'missing, give the SHA-256 of a token for /sessions, or let admin.listen be on loopback'
  return [{ path: 'admin.token_sha256', message }]
}

function wrongProxyProtocol({ listen, origin }: ProxyConfig): ConfigFault[] {
  if (origin.trusted_proxies.length > 0) return []
  const message = 'nobody may send its header, name the balancers in origin.trusted_proxies'
  return listen.flatMap(({ proxy_protocol }, i) =>
    proxy_protocol ? [{ path: `listen[${i}].proxy_protocol`, message }] : [],
  )
}

/** A native type is served by one process. */
function wrongWorkers({ listen, sessions }: ProxyConfig): ConfigFault[] {
  if (sessions.workers === 1 || !listen.every(isNative)) return []
  const types = listen.flatMap(servedTypes).filter(isNativeType).join(', ')
  const message = `one process serves ${types}, and no listener is left for the others; let it be 1`
  return [{ path: 'sessions.workers', message }]
}

/** Whether a listener must be served by one process: a native type's ticket is in the memory of the process that minted it. */
export const isNative = (listen: ListenerConfig) => servedTypes(listen).some(isNativeType)

const wrongTls = ({ listen }: ProxyConfig): ConfigFault[] =>
  listen.flatMap(({ tls }, i) => (tls ? certificateFaults(`listen[${i}].tls`, tls) : []))

/** A console type of the configuration that this version serves. */
export function servedTypes({ consoles }: ListenerConfig) {
  return servedConsoleTypes.filter((type) => isConsoleType(type) && consoles.some((name) => name === type))
}
