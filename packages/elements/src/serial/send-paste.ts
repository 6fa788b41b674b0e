/** Sends a paste completely, however slowly the machine reads. */
import type { SerialSession } from './session.ts'

export interface PasteOptions {
  /** Stops the paste: the text that was not sent yet is dropped. */
  readonly signal?: AbortSignal
  /**
   * Whether to mark the text as a paste for a shell with bracketed paste, which then runs no line of it. Default: `true`.
   */
  readonly marked?: boolean
  /** Called with the bytes that were sent so far, and with all bytes of the paste. */
  readonly onProgress?: (sent: number, total: number) => void
}

export interface PasteTarget {
  readonly session: SerialSession
  /** Whether the shell has enabled bracketed paste. */
  readonly bracketed: boolean
  /** Throws an Error with the reason when input is not accepted any more. */
  readonly requireInput: () => void
}

/** How much to send at a time, after which the paste can be stopped. */
const stepBytes = 64 * 1024
/** Sent to the browser beyond what the network has taken, at most, so that a paste can be stopped. */
const aheadBytes = 256 * 1024

/**
 * Sends `text`, and resolves once the browser has passed all of it on to the network.
 * @throws the reason of `options.signal`; the error of `requireInput`; Error if the console is lost
 */
export async function sendPaste(text: string, target: PasteTarget, options: PasteOptions = {}): Promise<void> {
  const { session, bracketed, requireInput } = target
  const { signal, onProgress } = options
  const bytes = pasteBytes(text, bracketed)
  let sent = 0
  try {
    for (; sent < bytes.length; sent += stepBytes) {
      signal?.throwIfAborted()
      requireInput()
      session.send(bytes.subarray(sent, sent + stepBytes))
      onProgress?.(Math.min(sent + stepBytes, bytes.length), bytes.length)
      await session.sentUpTo(aheadBytes)
    }
    await session.sentUpTo(0)
  } catch (error) {
    // A shell would take all later keys for a part of the paste.
    if (bracketed && sent > 0 && sent < bytes.length) session.send(new TextEncoder().encode(pasteEnd))
    throw error
  }
}

/** Returns the bytes of a paste, in which each line end is Enter. `bracketed`: the shell asked for the marks of a paste. */
export function pasteBytes(text: string, bracketed: boolean): Uint8Array {
  const typed = text.replaceAll('\n', '\r')
  return new TextEncoder().encode(bracketed ? `${pasteStart}${typed}${pasteEnd}` : typed)
}

const pasteStart = '\x1b[200~'
/** Ends a bracketed paste. */
const pasteEnd = '\x1b[201~'
