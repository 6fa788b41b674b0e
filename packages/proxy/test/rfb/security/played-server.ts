/** A VNC server whose messages are played to the handshake. */
import { performHypervisorHandshake } from '../../../src/rfb/hypervisor-handshake.ts'
import type { HandshakeStream, SecurityType } from '../../../src/rfb/security/security-type.ts'
import { ByteReader } from '../../../src/rfb/wire/reader.ts'

/** Stands among the written bytes where TLS begins. */
export const TLS = Buffer.from('<tls>')

/** Feeds pieces, one per turn of the event loop, then the end. `inTls`: the pieces after TLS has started. */
export async function play(
  pieces: readonly Uint8Array[],
  accepted: readonly SecurityType[],
  inTls: readonly Uint8Array[],
) {
  const written: Buffer[] = []
  const open = () => new ByteReader({ maxBytes: 4096, signal: new AbortController().signal })
  const stream = {
    reader: open(),
    write: (bytes: Uint8Array) => void written.push(Buffer.from(bytes)),
    startTls: async () => {
      stream.reader = open()
      written.push(TLS)
      feed(stream, inTls)
    },
  }
  const outcome = performHypervisorHandshake(stream, accepted).then(
    () => undefined,
    (error: Error) => error,
  )
  await feed(stream, pieces)
  return { error: await outcome, written: Buffer.concat(written), rest: stream.reader.rest() }
}

async function feed({ reader }: Pick<HandshakeStream, 'reader'>, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    reader.push(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  reader.fail(new Error('it ended'))
}

/** One piece for each byte. */
export const bytewise = (bytes: Uint8Array) => [...bytes].map((byte) => Buffer.of(byte))
