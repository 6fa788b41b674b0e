/** A fake VNC server that offers VeNCrypt only, for what a real QEMU cannot be made to do, such as a wrong certificate. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket, type TLSSocketOptions } from 'node:tls'

export interface VencryptServerOptions {
  /** A folder with `server-cert.pem` and `server-key.pem`, such as that of `temporaryPki`. */
  readonly folder: string
  /** Overrides of the TLS options. */
  readonly tls?: Pick<TLSSocketOptions, 'secureContext' | 'requestCert'>
  /** Plays the guest, beginning with ClientInit. Default: sends nothing. */
  readonly guest?: (socket: TLSSocket) => void
}

export interface VencryptServer extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  /** Whether the first client that began TLS sent data in it (`secured`), or closed, as after a wrong certificate (`refused`). */
  readonly firstTls: Promise<'secured' | 'refused'>
}

/** The server's plaintext messages, each with the length of the client's reply: RFB 3.8, VeNCrypt 0.2, X509None. */
const dialogue = [
  [Buffer.from('RFB 003.008\n'), 12],
  [Buffer.of(1, 19), 1],
  [Buffer.of(0, 2), 2],
  [Buffer.of(0, 1, 0, 0, 1, 4), 4],
] as const
const SUBTYPE_ACCEPTED = Buffer.of(1)
const SECURITY_OK = Buffer.alloc(4)

/** Listens on a free port of 127.0.0.1. Disposing closes all connections. */
export async function vencryptServer({
  folder,
  tls,
  guest = () => {},
}: VencryptServerOptions): Promise<VencryptServer> {
  const certificate = await serverCertificate(folder)
  const { promise: firstTls, resolve } = Promise.withResolvers<'secured' | 'refused'>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    // Ignore errors of the connection: clients may disconnect.
    serve(socket.on('error', () => {})).catch(() => socket.destroy())
  })
  async function serve(socket: Socket) {
    for (const [said, length] of dialogue) {
      socket.write(said)
      await skip(socket, length)
    }
    socket.write(SUBTYPE_ACCEPTED)
    const secure = new TLSSocket(socket, { isServer: true, ...certificate, ...tls })
    secure.on('error', () => {}).on('close', () => resolve('refused'))
    // In TLS 1.3 the server finishes before the client has checked the certificate: wait for the client's first bytes.
    secure.once('readable', () => {
      if (secure.readableLength === 0) return resolve('refused')
      resolve('secured')
      guest(secure)
    })
    secure.write(SECURITY_OK)
  }
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    firstTls,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}

/** Reads the server's key and certificate from a folder of `temporaryPki`. */
export async function serverCertificate(folder: string): Promise<{ key: Buffer; cert: Buffer }> {
  const [key, cert] = await Promise.all(['key', 'cert'].map((kind) => readFile(join(folder, `server-${kind}.pem`))))
  return { key: key!, cert: cert! }
}

/** Reads and discards exactly `length` bytes; later ones belong to TLS. */
async function skip(socket: Socket, length: number): Promise<void> {
  while (length > 0) {
    const piece = socket.read(Math.min(length, socket.readableLength)) as Buffer | null
    if (piece?.length) length -= piece.length
    else await Promise.race([once(socket, 'readable'), ended(socket)])
  }
}

async function ended(socket: Socket): Promise<never> {
  await once(socket, 'close')
  throw new Error('the client closed the connection')
}
