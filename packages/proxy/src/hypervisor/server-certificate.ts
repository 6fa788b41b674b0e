/** Verifies that a hypervisor's certificate belongs to the dialled host, and describes failures of TLS. */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { isUnixHost } from '@oriel/runtime'
import { subjectMatches } from './certificate-subject.ts'
import { type HypervisorHosts, settingsOf } from './hosts.ts'

export interface ExpectedIdentity {
  readonly hosts: HypervisorHosts
  /** The subject of certificates that do not contain the host name; `{host}` is replaced with that name. */
  readonly subject?: string | undefined
}

/**
 * Returns an error unless the certificate belongs to `host`: it must match the name or subject that is configured for this
 * host, or else the host itself or the general subject. TLS verifies the chain separately.
 */
export function checkIdentity(
  host: string,
  certificate: Pick<PeerCertificate, 'raw'>,
  { hosts, subject: template }: ExpectedIdentity,
): Error | undefined {
  const entry = settingsOf(hosts, host)
  const parsed = new X509Certificate(certificate.raw)
  if (entry.subject !== undefined) return subjectError(entry.subject, parsed.subject)
  const error = checkServerIdentity(entry.name ?? host, parsed.toLegacyObject())
  if (!error || template === undefined) return error
  return subjectError(template.replaceAll('{host}', entry.name ?? host), parsed.subject)
}

/** Returns the server name for SNI, which is empty for an address (RFC 6066 section 3) and for a Unix socket. */
export function serverName(host: string, hosts: HypervisorHosts): string {
  const name = settingsOf(hosts, host).name ?? host
  return isIP(name) === 0 && !isUnixHost(name) ? name : ''
}

/** Returns the reason why no certificate can be verified for `host`, or `undefined`: a Unix socket has no name of its own. */
export function identityProblem(host: string, hosts: HypervisorHosts): string | undefined {
  const { name, subject } = settingsOf(hosts, host)
  if (!isUnixHost(host) || name !== undefined || subject !== undefined) return undefined
  const key = `hypervisor.hosts.${JSON.stringify(host)}.name`
  return `a Unix socket has no host name for the hypervisor's certificate: set ${key}, or have the hypervisor offer no TLS there`
}

/** Describes why TLS with a hypervisor failed, and names the configuration key to change. */
export function tlsFailure(error: Error): string {
  const { code = '' } = error as NodeJS.ErrnoException
  return failures[code] ?? alerts.find(([mark]) => code.endsWith(mark))?.[1] ?? `TLS failed: ${error.message}`
}

function subjectError(wanted: string, subject: string): Error | undefined {
  return subjectMatches(wanted, subject)
    ? undefined
    : new Error(`the certificate is for ${JSON.stringify(subject)}, not for ${JSON.stringify(wanted)}`)
}

const REJECTED = 'the hypervisor rejects the client certificate in hypervisor.vnc.cert'
const TOO_OLD = 'the hypervisor supports only TLS versions below 1.2'
const WRONG_CA = "the hypervisor's certificate was not issued by a CA in hypervisor.vnc.ca"

/** By Node's error codes, most of which are OpenSSL's verification results. */
const failures: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the hypervisor's certificate has expired",
  CERT_NOT_YET_VALID: "the hypervisor's certificate is not valid yet: check the clocks",
  UNABLE_TO_GET_ISSUER_CERT: WRONG_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: WRONG_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: WRONG_CA,
  DEPTH_ZERO_SELF_SIGNED_CERT: `${WRONG_CA}: it is self-signed`,
  SELF_SIGNED_CERT_IN_CHAIN: WRONG_CA,
  CERT_SIGNATURE_FAILURE: WRONG_CA,
  // Node's code for a connection that closes during the handshake.
  ECONNRESET:
    'the hypervisor closed the connection in the TLS handshake: it may lack TLS 1.2, or share no cipher with the proxy',
  INVALID_PURPOSE: "the hypervisor's certificate is not a server certificate",
  INVALID_CA: "the issuer of the hypervisor's certificate is not a CA",
}

/** By the ends of Node's codes for TLS alerts and OpenSSL errors. Their beginnings differ by TLS version. */
const alerts: readonly (readonly [mark: string, reason: string])[] = [
  [
    'ALERT_CERTIFICATE_REQUIRED',
    'the hypervisor requires a client certificate: set hypervisor.vnc.cert and hypervisor.vnc.key',
  ],
  ['ALERT_BAD_CERTIFICATE', REJECTED],
  ['ALERT_UNKNOWN_CA', 'the hypervisor does not trust the CA of hypervisor.vnc.cert'],
  ['ALERT_CERTIFICATE_EXPIRED', 'the hypervisor reports that hypervisor.vnc.cert has expired'],
  ['ALERT_CERTIFICATE_UNKNOWN', REJECTED],
  ['ALERT_UNSUPPORTED_CERTIFICATE', 'the hypervisor does not support the type of hypervisor.vnc.cert'],
  ['ALERT_PROTOCOL_VERSION', TOO_OLD],
  ['UNSUPPORTED_PROTOCOL', TOO_OLD],
  ['ALERT_HANDSHAKE_FAILURE', 'the hypervisor shares no cipher with the proxy, or requires a client certificate'],
  ['WRONG_VERSION_NUMBER', 'the hypervisor does not speak TLS'],
]
