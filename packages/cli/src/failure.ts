/** Failures that the command reports as one sentence, with an exit code. */
import { UntypableError } from '@oriel/console'
import {
  AnswerError,
  ConnectionError,
  Forbidden,
  NotFound,
  OrielError,
  SettingsError,
  Unauthorized,
  VersionError,
} from '@oriel/sdk'
import { type ExitName, exitCodes } from './exit-codes.ts'

/** A word of a message that is longer, such as a name or an address, is cut in its middle. Paths of files are shorter. */
const MAX_WORD_CHARS = 300
const [KEPT_AT_START, KEPT_AT_END] = [120, 40]

/** Thrown for every expected failure. The message says what to do, and contains no token and no access URL. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exit: ExitName
  constructor(exit: ExitName, message: string, options?: ErrorOptions) {
    super(message.replace(LONG_WORDS, shortened), options)
    this.exit = exit
  }
}

const LONG_WORDS = new RegExp(`\\S{${MAX_WORD_CHARS + 1},}`, 'g')
const shortened = (word: string) =>
  `${word.slice(0, KEPT_AT_START).toWellFormed()}…${word.slice(-KEPT_AT_END).toWellFormed()}`

/** Converts any error to a failure. Errors of the SDK keep their message, which contains no secret. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (error instanceof OrielError) return new Failure(exitOf(error), sentenceOf(error), { cause: error })
  const { message = String(error) } = (error ?? {}) as Partial<Error>
  return new Failure('failed', `${message}. This is a fault of oriel; ORIEL_DEBUG=1 prints where it happened.`, {
    cause: error,
  })
}

/** Returns the exit code of a failure. */
export const codeOf = ({ exit }: Failure): number => exitCodes[exit].code

function exitOf(error: OrielError): ExitName {
  if (error instanceof SettingsError || error instanceof UntypableError) return 'usage'
  if (error instanceof ConnectionError && error.reason === 'timeout') return 'timeout'
  return error instanceof Unauthorized || error instanceof Forbidden ? 'denied' : 'failed'
}

function sentenceOf(error: OrielError): string {
  const { requestId } = error as { requestId?: string }
  const request = requestId === undefined ? '' : ` (request ${requestId})`
  const [, text, mark] = /^(.*?)([.?!]?)$/s.exec(error.message)!
  return `${text}${request}${mark || '.'}${adviceOf(error)}`
}

function adviceOf(error: OrielError): string {
  if (error instanceof Unauthorized) return ' Sign in again: the token or the password is wrong or has expired.'
  if (error instanceof Forbidden) return ' Ask for a role that may do this.'
  if (error instanceof NotFound) return ' Is the endpoint that of the compute API?'
  if (error instanceof AnswerError && error.operation === 'showVersion') return adviceForEndpoint(error)
  if (error instanceof ConnectionError) return error.reason === 'timeout' ? ' Try again, or raise --timeout.' : ''
  return error instanceof VersionError ? ' Choose another --type.' : ''
}

/** The proxy and the dashboard are often written in place of the API. */
function adviceForEndpoint({ message }: AnswerError): string {
  const question = message.endsWith('?')
    ? ''
    : ' Is the endpoint that of the compute API, such as http://HOST:8774/v2.1?'
  return `${question} \`oriel doctor\` says which service answers.`
}
