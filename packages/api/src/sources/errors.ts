/** The errors of sources. `consoles/driver-faults.ts` maps them to statuses. */

/** Names of Nova's exceptions. */
export type SourceErrorCode =
  | 'ConsoleTypeUnavailable'
  | 'ConsoleNotAvailable'
  | 'InstanceNotFound'
  | 'NotImplemented'
  | 'SocketPortRangeExhausted'
  | 'SerialPortNumberInvalid'
  | 'SerialPortNumberExceeds'

/** Thrown by a source. The client only sees `message` for the port and serial codes, whose details people need. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceErrorCode

  constructor(code: SourceErrorCode, message: string = code, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Thrown while the hypervisor or its daemon does not respond: 503 with `Retry-After`. The message only goes to the log. */
export class SourceUnavailable extends Error {
  override readonly name = 'SourceUnavailable'
}

/** Thrown when some of a source's hypervisors respond and others do not. The message only goes to the log. */
export class SourcePartlyUnavailable extends Error {
  override readonly name = 'SourcePartlyUnavailable'
}
