/**
 * Types keystrokes slowly enough for a machine. QEMU lets through one change of a key each 10 ms (`key-delay-ms`), queues some
 * 340, and drops the others, so that Shift may stay down. Behind that a virtual keyboard has a queue of 16 bytes.
 */
import { type Keystroke, namedKeys } from './keystrokes.ts'

/** Pause for each change of a key: a key goes down and up, and Shift does so around it. */
export const changePauseMs = 12
/** Pause after Enter, while a shell or a boot loader runs a command. */
export const linePauseMs = 120
/** Typing pauses while the WebSocket buffers more than this. */
export const maxBufferedBytes = 4_096

/** Receives keys: one open console. */
export interface KeySink {
  readonly bufferedBytes: number
  sendKey(keysym: number, code: string | null, down: boolean): void
}

export interface TypeOptions {
  /** Stops before the next keystroke. */
  readonly signal?: AbortSignal
  /** Called after each keystroke. */
  readonly onProgress?: (typed: number, total: number) => void
}

/**
 * Sends `strokes` one after the other.
 * @param pause resolves after the given number of milliseconds
 * @throws the reason of `signal` when it is aborted
 */
export async function type(
  strokes: readonly Keystroke[],
  sink: KeySink,
  pause: (ms: number) => Promise<void>,
  { signal, onProgress }: TypeOptions = {},
): Promise<void> {
  for (const [i, stroke] of strokes.entries()) {
    while (sink.bufferedBytes > maxBufferedBytes) {
      signal?.throwIfAborted()
      await pause(changePauseMs)
    }
    signal?.throwIfAborted()
    press(stroke, sink)
    onProgress?.(i + 1, strokes.length)
    await pause(stroke.keysym === namedKeys.Enter.keysym ? linePauseMs : (stroke.shift ? 4 : 2) * changePauseMs)
  }
}

/** Presses and releases one key, with Shift around it if it needs Shift. */
export function press({ keysym, code, shift }: Keystroke, sink: KeySink): void {
  const { keysym: shiftKeysym, code: shiftCode } = namedKeys.ShiftLeft
  if (shift) sink.sendKey(shiftKeysym, shiftCode, true)
  sink.sendKey(keysym, code, true)
  sink.sendKey(keysym, code, false)
  if (shift) sink.sendKey(shiftKeysym, shiftCode, false)
}
