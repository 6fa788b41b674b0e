/**
 * The thread that reads screens: decoding a picture and compressing it as PNG take long enough to delay every request of
 * the API. Started by `screen-thread.ts`.
 */
import { parentPort } from 'node:worker_threads'
import { ConsoleClosed, ConsoleRefused, openScreen, type Screen } from '@oriel/console'
import type { FailureReason, ScreenFormat } from './screen-reader.ts'
import type { ThreadReply, ThreadRequest } from './screen-thread.ts'

/** A picture of this size takes 36 MiB, and is copied twice to become a PNG. */
const MAX_PIXELS = 4096 * 2304

const port = parentPort!
port.on('message', async (request: ThreadRequest) => {
  const reply = await answer(request)
  port.postMessage(reply, reply.bytes ? [reply.bytes.buffer] : [])
})

async function answer({ id, url, format, timeoutMs }: ThreadRequest): Promise<ThreadReply> {
  try {
    await using screen = await openScreen({ url, openTimeoutMs: timeoutMs, maxPixels: MAX_PIXELS })
    return { id, bytes: await read(screen, format) }
  } catch (error) {
    const { message } = error as Error
    return { id, failure: { reason: reasonOf(error), message } }
  }
}

/** Copies the bytes: those of an encoder may be a part of a larger buffer, which would be transferred whole. */
async function read(screen: Screen, format: ScreenFormat): Promise<Uint8Array<ArrayBuffer>> {
  if (format === 'png') return Uint8Array.from((await screen.screenshot()).png())
  return Uint8Array.from(new TextEncoder().encode(`${await screen.text()}\n`))
}

function reasonOf(error: unknown): FailureReason {
  if (error instanceof ConsoleRefused || error instanceof ConsoleClosed) return 'refused'
  const { name, reason } = error as { readonly name?: string; readonly reason?: string }
  if (name !== 'ConnectionError') return 'unreadable'
  return reason === 'timeout' ? 'timeout' : 'unreachable'
}
