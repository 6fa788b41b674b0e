/** The errors of consoles. Like those of the SDK, their messages are fit for logs and people: they contain no token. */
import { OrielError } from '@oriel/sdk'
import type { CloseReason, RefusalName, Remedy } from '@oriel/sdk/close-reasons'
import { shown } from './pattern.ts'
import type { Screenshot } from './screen/image.ts'
import type { ScreenText } from './text/read-text.ts'

/** Thrown if the server sent data that breaks the protocol of the console, or that this package does not support. */
export class ProtocolError extends OrielError {
  override readonly name: string = 'ProtocolError'
}

/** Thrown if the server closed the console. Its message is the sentence of the close reason. */
export class ConsoleClosed extends OrielError {
  override readonly name: string = 'ConsoleClosed'
  /** The WebSocket close code. With a proxy of Oriel's, `docs/close-reasons.md` lists them. */
  readonly code: number
  /** What to do next: nothing, open the same address again, or ask for a new console. */
  readonly remedy: Remedy
  constructor({ code, text, remedy }: Pick<CloseReason, 'code' | 'text' | 'remedy'>) {
    super(text)
    this.code = code
    this.remedy = remedy
  }
}

/** Thrown if the proxy refused to open the console, and said why. Nova's own proxy does not: see `ConnectionError`. */
export class ConsoleRefused extends ConsoleClosed {
  override readonly name: string = 'ConsoleRefused'
  /** The name of the refusal in `docs/close-reasons.md`. `undefined` for a name that this version does not know. */
  readonly refusal: RefusalName | undefined
  /** Seconds to wait before the same address is opened again, if the proxy sent them. */
  readonly retryAfterSeconds: number | undefined
  constructor(reason: CloseReason) {
    super(reason)
    this.refusal = reason.refusal
    this.retryAfterSeconds = reason.retryAfterSeconds
  }
}

/** Thrown by a wait whose deadline passed. */
export class WaitTimeout extends OrielError {
  override readonly name: string = 'WaitTimeout'
  /** The screen at the deadline. */
  readonly screenshot: Screenshot
  /** The text that was on the screen when it was read last. Only `waitForText` and `text` read it. */
  readonly text: ScreenText | undefined
  /** Why there was no connection at the deadline. The picture and the text are those before its loss then. */
  readonly lost: OrielError | undefined
  constructor(message: string, screenshot: Screenshot, text: ScreenText | undefined, lost?: OrielError) {
    super(lost === undefined ? message : `${message}, because its connection was lost: ${lost.message}`)
    this.screenshot = screenshot
    this.text = text
    this.lost = lost
  }
}

/** Thrown if a guest that took keys stops taking them, in the midst of a text. */
export class GuestStalled extends OrielError {
  override readonly name: string = 'GuestStalled'
}

const MAX_QUOTED_CHARS = 80

/** Thrown by `expect` if the output did not contain the pattern before the deadline. */
export class ExpectTimeout extends OrielError {
  override readonly name: string = 'ExpectTimeout'
  /** The output that was searched, as plain text. It may contain what people typed: keep it out of public logs. */
  readonly output: string
  constructor(pattern: RegExp | string, timeoutMs: number, output: string) {
    const wanted = shown(pattern)
    const lastLine = output.trimEnd().split('\n').at(-1)!.slice(-MAX_QUOTED_CHARS)
    const found = lastLine === '' ? 'it shows nothing' : `its last line is ${JSON.stringify(lastLine)}`
    super(`The console did not show ${wanted} within ${timeoutMs / 1000} seconds: ${found}`)
    this.output = output
  }
}
