/** What a source's driver can say instead of an answer. Which status each becomes stands in `consoles/driver-faults.ts`. */

/** The names are those of Nova's exceptions. */
export type SourceErrorCode =
  | 'ConsoleTypeUnavailable'
  | 'ConsoleNotAvailable'
  | 'InstanceNotFound'
  | 'NotImplemented'
  | 'SocketPortRangeExhausted'
  | 'SerialPortNumberInvalid'
  | 'SerialPortNumberExceeds'

/** Thrown by a source. `message` reaches the client only for the port and serial codes, whose details people need. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceErrorCode

  constructor(code: SourceErrorCode, message: string = code, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The hypervisor or its daemon does not answer at the moment: 503 with `Retry-After`. The message is for the log. */
export class SourceUnavailable extends Error {
  override readonly name = 'SourceUnavailable'
}

/** Some of those who run a source's servers do not answer, and others do. The message is for the log. */
export class SourcePartlyUnavailable extends Error {
  override readonly name = 'SourcePartlyUnavailable'
}
