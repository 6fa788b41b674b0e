/** Explains certificates that cannot be verified, and warns of those that expire soon. */
import type { PeerCertificate } from 'node:tls'
import type { Destination, NodeFault } from './destination.ts'
import type { Passed } from './examination.ts'
import { Problem, type Remedy } from './problem.ts'

/** How long before its end a certificate is worth a warning. */
const SOON_DAYS = 14
const DAY_MS = 86_400_000

/** Describes the end of a verified certificate. */
export function expiryOf({ valid_to }: PeerCertificate, { side }: Destination): Omit<Passed<unknown>, 'value'> {
  const end = new Date(valid_to)
  const days = Math.floor((end.getTime() - Date.now()) / DAY_MS)
  const detail = `its certificate is valid until ${end.toISOString().slice(0, 10)}`
  if (days >= SOON_DAYS) return { detail }
  return { detail, advice: { side, remedy: `Renew the certificate: it expires in ${days} days.` } }
}

/** Returns the problem for OpenSSL's error code, or `undefined` for another error. */
export function certificateProblem(
  code: string | undefined,
  causes: readonly NodeFault[],
  to: Destination,
): Problem | undefined {
  const { host } = to.url
  const found = Object.hasOwn(faults, code ?? '') ? faults[code as keyof typeof faults] : undefined
  if (found === undefined) return undefined
  const { problem, remedy } = found(host, causes, to)
  return new Problem(problem, remedy, { cause: causes[0] })
}

interface Found {
  readonly problem: string
  readonly remedy: Remedy
}

const unknownCa = (host: string): Found => ({
  problem: `the certificate of ${host} is signed by a CA that this machine does not trust`,
  remedy: {
    side: 'client',
    remedy: 'Name the PEM file of that CA with OS_CACERT, or with NODE_EXTRA_CA_CERTS.',
  },
})

const missingChain = (host: string): Found => ({
  problem: `the certificate of ${host} leads to no CA that this machine trusts`,
  remedy: {
    side: 'client',
    remedy:
      'Name the PEM file of its CA with OS_CACERT. If the CA is public, the server lacks the intermediate certificate: give it the full chain.',
  },
})

const faults = {
  DEPTH_ZERO_SELF_SIGNED_CERT: (host) => ({
    problem: `the certificate of ${host} is self-signed`,
    remedy: { side: 'client', remedy: 'Name the file of this certificate with OS_CACERT, or use one of a CA.' },
  }),
  SELF_SIGNED_CERT_IN_CHAIN: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT: missingChain,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: missingChain,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: missingChain,
  CERT_HAS_EXPIRED: (host, _, { side, url }) => ({
    problem: `the certificate of ${host} has expired`,
    remedy: {
      side,
      remedy: `Renew it where TLS ends, and check the clock of this machine. Its dates: openssl s_client -connect ${url.hostname}:${url.port || 443} </dev/null | openssl x509 -noout -dates`,
    },
  }),
  CERT_NOT_YET_VALID: (host) => ({
    problem: `the certificate of ${host} is not valid yet`,
    remedy: { side: 'client', remedy: 'Set the clock of this machine: compare `date -u` with another one.' },
  }),
  ERR_TLS_CERT_ALTNAME_INVALID: (host, causes, { side, setting }) => ({
    problem: `the certificate of ${host} is for other names: ${namesIn(causes)}`,
    remedy: { side, remedy: `Write one of these names in ${setting}, or issue a certificate for this one.` },
  }),
} as const satisfies Record<string, (host: string, causes: readonly NodeFault[], to: Destination) => Found>

/** Node's message ends with the names of the certificate. */
const namesIn = (causes: readonly NodeFault[]): string =>
  causes.map(({ message }) => /the cert's (?:altnames|list|CN): ?(.*)$/.exec(message)?.[1]).find(Boolean) ?? 'unknown'
