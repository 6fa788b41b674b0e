/** Whether a hypervisor's certificate is that of the host that was meant, and, where TLS failed, why in plain words. */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { subjectMatches } from './certificate-subject.ts'
import { type HypervisorHosts, settingsOf } from './hosts.ts'

export interface ExpectedIdentity {
  readonly hosts: HypervisorHosts
  /** The subject that a certificate may have where it does not name the host; `{host}` stands for that name. */
  readonly subject?: string | undefined
}

/**
 * Whether the certificate is that of `host`: the configured name or subject where there is one for this address; else the
 * address itself, or the general subject. The chain is verified besides, by TLS.
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

/** The name for TLS's own server name indication; an address has none (RFC 6066 section 3). */
export function serverName(host: string, hosts: HypervisorHosts): string {
  const name = settingsOf(hosts, host).name ?? host
  return isIP(name) === 0 ? name : ''
}

/** Why TLS with a hypervisor failed: the reason itself, and which key of the configuration bears on it. */
export function tlsFailure(error: Error): string {
  const { code = '' } = error as NodeJS.ErrnoException
  return failures[code] ?? alerts.find(([mark]) => code.endsWith(mark))?.[1] ?? `TLS failed: ${error.message}`
}

function subjectError(wanted: string, subject: string): Error | undefined {
  return subjectMatches(wanted, subject)
    ? undefined
    : new Error(`the certificate is for ${JSON.stringify(subject)}, not for ${JSON.stringify(wanted)}`)
}

const WRONG_CA = 'its certificate is not from an authority in hypervisor.vnc.ca'

/** By OpenSSL's verification results, as Node names them. */
const failures: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; are the clocks right?',
  UNABLE_TO_GET_ISSUER_CERT: WRONG_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: WRONG_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: WRONG_CA,
  DEPTH_ZERO_SELF_SIGNED_CERT: `${WRONG_CA}, it signed itself`,
  SELF_SIGNED_CERT_IN_CHAIN: WRONG_CA,
  CERT_SIGNATURE_FAILURE: WRONG_CA,
  // Node's own code for an end before TLS was there.
  ECONNRESET: 'it ended the connection in the TLS handshake: has it TLS 1.2 or newer, and a cipher in common?',
  INVALID_PURPOSE: 'its certificate is not for servers',
  INVALID_CA: 'its certificate was signed by one that is no authority',
}

/** By the ends of the codes that Node makes of TLS alerts and of OpenSSL's own errors. */
const alerts: readonly (readonly [mark: string, reason: string])[] = [
  ['ALERT_CERTIFICATE_REQUIRED', 'it wants a client certificate: set hypervisor.vnc.cert and key'],
  ['ALERT_BAD_CERTIFICATE', 'it refuses the client certificate'],
  ['ALERT_UNKNOWN_CA', 'it does not know who signed the client certificate'],
  ['ALERT_CERTIFICATE_EXPIRED', 'it says that the client certificate has expired'],
  ['ALERT_CERTIFICATE_UNKNOWN', 'it refuses the client certificate'],
  ['ALERT_UNSUPPORTED_CERTIFICATE', 'it refuses the kind of the client certificate'],
  ['ALERT_PROTOCOL_VERSION', 'it speaks only TLS older than 1.2'],
  ['UNSUPPORTED_PROTOCOL', 'it speaks only TLS older than 1.2'],
  ['ALERT_HANDSHAKE_FAILURE', 'it shares no cipher with the proxy, or wants a client certificate'],
  ['WRONG_VERSION_NUMBER', 'what it sends is not TLS'],
]
