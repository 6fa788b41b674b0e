/** Creates a CA with a server's and a client's certificate for one test, with the openssl command. */
import { execFile } from 'node:child_process'
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defaultTimeoutMs } from './deadline.ts'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts'

export interface TemporaryPkiOptions {
  /** The IP addresses in the server's certificate. Default: 127.0.0.1. */
  readonly addresses?: readonly string[]
  /** The host names in the server's certificate. Default: localhost. */
  readonly names?: readonly string[]
  /** Whether the server's certificate has expired. Default: no. */
  readonly expired?: boolean
  /**
   * Whether an intermediate CA, in `intermediate-cert.pem`, signs the server's certificate. Then `server-cert.pem` also
   * contains that CA's certificate, because servers send both. Default: no.
   */
  readonly intermediate?: boolean
}

/**
 * Creates a folder with `ca-cert.pem`, `ca-key.pem`, `server-cert.pem`, `server-key.pem`, `client-cert.pem` and
 * `client-key.pem`, as QEMU's VNC and SPICE expect it. The certificates are valid for thirty days.
 *
 * @throws the error of the openssl command.
 */
export async function temporaryPki(options: TemporaryPkiOptions = {}): Promise<TemporaryFolder> {
  const { addresses = ['127.0.0.1'], names = ['localhost'], expired = false, intermediate = false } = options
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const subjects = [...addresses.map((address) => `IP:${address}`), ...names.map((name) => `DNS:${name}`)].join(',')
  await issue(folder.path, 'ca', authority)
  if (intermediate) await issue(folder.path, 'intermediate', authority)
  const signer = intermediate ? 'intermediate' : 'ca'
  await issue(folder.path, 'server', [...leaf, 'extendedKeyUsage=serverAuth', `subjectAltName=${subjects}`], signer)
  if (intermediate) await appendChain(folder.path)
  if (expired) await expire(folder.path)
  await issue(folder.path, 'client', [...leaf, 'extendedKeyUsage=clientAuth'])
  const rest = scope.move()
  return { path: folder.path, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Elliptic-curve keys: generating RSA keys would take seconds on a busy machine. */
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
const leaf = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature']

/** Issues a certificate, signed by `by` unless it is the root CA. */
async function issue(
  folder: string,
  role: 'ca' | 'intermediate' | 'server' | 'client',
  extensions: readonly string[],
  by: 'ca' | 'intermediate' = 'ca',
): Promise<void> {
  const file = (name: string) => join(folder, name)
  const signer = role === 'ca' ? [] : ['-CA', file(`${by}-cert.pem`), '-CAkey', file(`${by}-key.pem`)]
  const request = ['req', '-x509', ...newKey, '-nodes', '-days', '30', '-config', '-', '-extensions', 'none']
  const names = ['-subj', `/CN=testkit ${role}`, '-keyout', file(`${role}-key.pem`), '-out', file(`${role}-cert.pem`)]
  const running = run(
    'openssl',
    [...request, ...signer, ...names, ...extensions.flatMap((line) => ['-addext', line])],
    timely,
  )
  // Replaces the system's configuration, which adds conflicting extensions.
  running.child.stdin?.end('[req]\ndistinguished_name=name\n[name]\n[none]\n')
  await running
}

async function appendChain(folder: string): Promise<void> {
  await appendFile(join(folder, 'server-cert.pem'), await readFile(join(folder, 'intermediate-cert.pem')))
}

/** Signs the server's certificate again, with an end date in the past. */
async function expire(folder: string): Promise<void> {
  const file = (name: string) => join(folder, name)
  const [cert, request] = [file('server-cert.pem'), file('server.csr')]
  const authority = ['-CA', file('ca-cert.pem'), '-CAkey', file('ca-key.pem')]
  const x509 = (...args: string[]) => run('openssl', ['x509', '-copy_extensions', 'copy', ...args], timely)
  await x509('-x509toreq', '-in', cert, '-signkey', file('server-key.pem'), '-out', request)
  await x509('-req', '-in', request, '-days', '-1', '-out', cert, ...authority)
}

const timely = { timeout: defaultTimeoutMs }
const run = promisify(execFile)
