/** The port that opens a console and reads its screen. */

/** How a screen is read: as a picture, or as the text on it in UTF-8. */
export type ScreenFormat = 'png' | 'text'

export interface ScreenRequest {
  /** The access URL of a console of type `novnc`. It contains a token. */
  readonly url: string
  readonly format: ScreenFormat
  /** How long it may take until the screen shows a picture. */
  readonly timeoutMs: number
}

export interface ScreenReader extends AsyncDisposable {
  /** Opens the console, reads its first picture, and closes it. @throws ScreenFailure */
  read(request: ScreenRequest): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * `timeout`: there was no picture in time. `refused`: the proxy refused or closed the console; the message says why.
 * `unreachable`: the proxy does not answer. `unreadable`: the screen is too large, or its data are malformed.
 */
export type FailureReason = 'timeout' | 'refused' | 'unreachable' | 'unreadable'

/** Thrown when a screen could not be read. The message contains neither a token nor an address with one. */
export class ScreenFailure extends Error {
  override readonly name = 'ScreenFailure'
  readonly reason: FailureReason

  constructor(reason: FailureReason, message: string) {
    super(message)
    this.reason = reason
  }
}
