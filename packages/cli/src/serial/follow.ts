/** A serial console that is opened again whenever that makes sense, as a connection. */
import { Duplex, Readable, Writable } from 'node:stream'
import { ConsoleClosed, type Serial } from '@oriel/console'
import { advised, type Closed, type Connection } from '../console/dial.ts'

/** Returns the bytes of `serial`. Input is dropped while the console is opened again. */
export function connectionOf(serial: Serial): Connection {
  let isEnded = false
  const closed = reasonOf(serial).finally(() => {
    isEnded = true
  })
  // `closed` is not awaited once the user has left: don't report its rejection as unhandled.
  closed.catch(() => {})
  const writable = new Writable({
    write(bytes: Uint8Array, _, done) {
      serial.send(bytes).then(
        () => done(),
        (error) => done(isEnded ? error : null),
      )
    },
  })
  const stream = Duplex.from({ readable: Readable.from(outputOf(serial), { objectMode: false }), writable })
  stream.on('error', () => {})
  return { stream, closed, close: () => serial.close() }
}

async function* outputOf(serial: Serial): AsyncGenerator<Uint8Array> {
  try {
    yield* serial.readable as unknown as AsyncIterable<Uint8Array>
  } catch (error) {
    // `closed` has the error with which the console ended. Without one, the reader of the output is too slow.
    await serial.close()
    if ((await serial.ended) === undefined) throw error
  }
}

async function reasonOf(serial: Serial): Promise<Closed> {
  const error = await serial.ended
  if (error === undefined) return { text: 'The output is read too slowly.', isNormal: false }
  if (error instanceof ConsoleClosed)
    return { text: advised({ text: error.message, remedy: error.remedy }), isNormal: false }
  throw error
}
