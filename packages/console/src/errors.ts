/** The errors of consoles. Like those of the SDK, their messages are fit for logs and people: they contain no token. */
import { OrielError } from '@oriel/sdk'

/** Thrown if the server sent data that breaks the protocol of the console, or that this package does not support. */
export class ProtocolError extends OrielError {
  override readonly name: string = 'ProtocolError'
}
