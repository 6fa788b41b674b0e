/** Checks certificates, private keys and ciphers before TLS uses them, and names the configuration key at fault. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureVersion } from 'node:tls'
import type { Secret } from '../secret.ts'
import type { ConfigFault } from './error.ts'

/** A certificate with its private key, as a table of the configuration holds them. */
export interface CertificateTable {
  /** PEM: the certificate itself first, then its chain. */
  readonly cert: string
  /** The private key, PEM. */
  readonly key: Secret
  /** A list of ciphers in OpenSSL's format. Default: Node's. */
  readonly ciphers?: string | undefined
  readonly min_version?: SecureVersion | undefined
}

/** A certificate that expires within this many days is reported. */
const REPORTED_DAYS = 14
const DAY_MS = 86_400_000

/**
 * Returns the faults of the table at `path`: errors for what TLS would refuse, and warnings for certificates that expire
 * within 14 days, are not valid yet or have an expired intermediate, and for ciphers that OpenSSL ignores.
 * @param now milliseconds since the epoch. Default: the present
 */
export function certificateFaults(path: string, table: CertificateTable, now = Date.now()): readonly ConfigFault[] {
  const at = (key: string) => (message: string) => ({ path: `${path}.${key}`, message })
  const chain = attempt(() => parseCertificates(table.cert))
  const key = attempt(() => parseKey(table.key.reveal()))
  const unreadable = [
    ...(chain instanceof Error ? [at('cert')(`cannot be used: ${chain.message}`)] : []),
    ...(key instanceof Error ? [at('key')(key.message)] : []),
  ]
  if (chain instanceof Error || key instanceof Error) return [...unreadable, ...cipherFaults(at('ciphers'), table)]
  return [
    ...pairFaults(at, chain, key),
    ...timeFaults(at('cert'), chain, now),
    ...strengthFaults(at('cert'), table, chain[0]!),
    ...cipherFaults(at('ciphers'), table),
  ]
}

/**
 * Returns the faults of the CA certificates at the key `path`. Expired certificates are accepted beside a valid one, since
 * bundles keep old ones. A damaged certificate is always a fault.
 * @param now milliseconds since the epoch. Default: the present
 */
export function caFaults(path: string, pem: string, now = Date.now()): readonly ConfigFault[] {
  const certificates = attempt(() => parseCertificates(pem))
  if (certificates instanceof Error) return [{ path, message: `cannot be used: ${certificates.message}` }]
  const latest = certificates.toSorted((a, b) => endOf(b) - endOf(a))[0]!
  return endFaults((message) => ({ path, message }), latest, now)
}

/**
 * Parses every certificate in `pem`, because `tls.createSecureContext` silently skips CA certificates that it cannot parse,
 * and could leave the trust store empty.
 * @throws TypeError that names the certificate that cannot be parsed, or says that the text has no certificate
 */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN (TRUSTED )?CERTIFICATE-----[\s\S]+?-----END \1?CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new TypeError('it contains no certificate, give PEM (-----BEGIN CERTIFICATE-----)')
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      throw new TypeError(`certificate ${i + 1} of ${blocks.length} in it is damaged, replace it`, { cause })
    }
  })
}

type FaultAt = (message: string) => ConfigFault

function attempt<T>(parse: () => T): T | Error {
  try {
    return parse()
  } catch (error) {
    return error as Error
  }
}

/** @throws TypeError with the fault and the remedy, in words that follow the path of the configuration key */
function parseKey(pem: string): KeyObject {
  // Checked first: on a terminal OpenSSL would prompt for the passphrase.
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new TypeError('is encrypted, decrypt it: openssl pkey -in encrypted.pem -out key.pem')
  }
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new TypeError('holds no private key that OpenSSL can read, give PEM (-----BEGIN PRIVATE KEY-----)', { cause })
  }
}

function pairFaults(at: (key: string) => FaultAt, chain: readonly X509Certificate[], key: KeyObject): ConfigFault[] {
  const index = chain.findIndex((certificate) => certificate.checkPrivateKey(key))
  if (index === 0) return []
  if (index > 0)
    return [at('cert')(`begins with another certificate than that of the key, put number ${index + 1} first`)]
  const { subject } = chain[0]!
  return [at('key')(`belongs to another certificate, give the private key of ${nameOf(subject)}`)]
}

function timeFaults(at: FaultAt, [own, ...chain]: readonly X509Certificate[], now: number): ConfigFault[] {
  const starts = Date.parse(own!.validFrom)
  const notYetValid = starts > now ? [warning(at(`is valid only from ${dateOf(starts)} on; is the clock right?`))] : []
  const expired = chain.filter((certificate) => endOf(certificate) <= now)
  const intermediates = expired.map((certificate) => {
    const message = `holds an intermediate that expired on ${dateOf(endOf(certificate))}: ${nameOf(certificate.subject)}`
    return warning(at(`${message}; renew it`))
  })
  return [...notYetValid, ...endFaults(at, own!, now), ...intermediates]
}

function endFaults(at: FaultAt, certificate: X509Certificate, now: number): ConfigFault[] {
  const end = endOf(certificate)
  if (end <= now) return [at(`expired on ${dateOf(end)}, renew it`)]
  return end - now < REPORTED_DAYS * DAY_MS ? [warning(at(`expires on ${dateOf(end)}, renew it`))] : []
}

/** Creates the TLS context as the program does when it starts, and returns its error as a fault. */
function strengthFaults(at: FaultAt, table: CertificateTable, own: X509Certificate): ConfigFault[] {
  const { cert, key, ciphers } = table
  // `@SECLEVEL` in the ciphers changes which keys are accepted. `cipherFaults` reports an unusable list.
  const usable = ciphers === undefined || contextError({ ciphers }) !== undefined ? {} : { ciphers }
  const error = contextError({ cert, key: key.reveal(), ...usable })
  if (error === undefined || error.code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') return []
  return [at(TOO_WEAK[error.code ?? '']?.(own) ?? `cannot be used: ${error.message}`)]
}

const TOO_WEAK: Readonly<Record<string, (certificate: X509Certificate) => string>> = {
  ERR_SSL_EE_KEY_TOO_SMALL: ({ publicKey }) => {
    const bits = publicKey.asymmetricKeyDetails?.modulusLength
    return `has a key${bits === undefined ? '' : ` of ${bits} bits`} that is too weak for OpenSSL, make one of 2048 bits or more`
  },
  ERR_SSL_CA_KEY_TOO_SMALL: () => 'holds an intermediate whose key is too weak for OpenSSL, have it issued by another',
  ERR_SSL_CA_MD_TOO_WEAK: () => 'is signed with a digest that is too weak for OpenSSL, have it signed with SHA-256',
}

function cipherFaults(at: FaultAt, { ciphers, min_version }: CertificateTable): ConfigFault[] {
  if (ciphers === undefined) return []
  const unknown = ciphers.split(/[:, ]+/).filter((name) => /^[\w-]+$/.test(name) && contextError({ ciphers: name }))
  const example = 'such as ECDHE-RSA-AES128-GCM-SHA256'
  if (contextError({ ciphers })) {
    const what = unknown.length === 0 ? 'names no cipher' : `names no cipher that OpenSSL knows: ${unknown.join(', ')}`
    return [at(`${what}; give OpenSSL's names with colons between them, ${example}`)]
  }
  if (min_version === 'TLSv1.3' && !/(^|:)(TLS_|DEFAULT)/.test(ciphers)) {
    return [at('names no cipher of TLS 1.3, which min_version asks for; add one such as TLS_AES_128_GCM_SHA256')]
  }
  return unknown.map((name) => warning(at(`OpenSSL does not know ${name} and ignores it; is it misspelt?`)))
}

function contextError(options: Parameters<typeof createSecureContext>[0]): NodeJS.ErrnoException | undefined {
  const error = attempt(() => createSecureContext(options))
  return error instanceof Error ? error : undefined
}

const warning = (fault: ConfigFault): ConfigFault => ({ ...fault, severity: 'warning' })
const endOf = ({ validTo }: X509Certificate) => Date.parse(validTo)
const dateOf = (time: number) => new Date(time).toISOString().slice(0, 10)
const nameOf = (subject: string | undefined) => JSON.stringify((subject ?? '').split('\n').join(', ').slice(0, 120))
