/** The table `tls` of a listener for clients. */
import { oneOf, optionalText, table } from './fields.ts'
import { pem, secretPem } from './schemas.ts'

/** Certificate, key, and the requirements for the client's TLS. */
export const listenerTlsTable = table({
  cert: pem({ description: 'The certificate and its chain: PEM, or the name of a file with it.' }),
  key: secretPem({ description: 'The private key of cert: PEM, or the name of a file with it.' }),
  min_version: oneOf(['TLSv1.2', 'TLSv1.3'], {
    default: 'TLSv1.2',
    description: 'The minimum TLS version for clients.',
  }),
  ciphers: optionalText("Allowed ciphers, in OpenSSL's format. Default: Node's list."),
})

/** The keys of the table that a listener applies without a restart. */
export const reloadableTlsKeys = ['cert', 'key', 'min_version', 'ciphers'] as const
