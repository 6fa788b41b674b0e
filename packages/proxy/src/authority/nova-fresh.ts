/**
 * Finds the current address of an instance's console by creating a new one: `POST /servers/{id}/remote-consoles`, then the
 * new token's connect info. Nova then asks the compute host, as its own proxies do for each connection
 * (`validate_console_port`).
 */
import type { OpenableConsoleType } from '@oriel/contract'
import { tokenOf } from '@oriel/contract'
import { type Client, Forbidden, NotFound, NotImplemented, ServerFault, VersionError } from '@oriel/sdk'
import { Refused } from '../refused.ts'
import { type Admission, admissionOf } from './authority.ts'
import type { Diagnose } from './diagnose.ts'
import { novaConnectInfo } from './nova-connect-info.ts'
import { isAboutOne, judgeService, unusableAnswer } from './verdict.ts'

/** The result of creating a new console. Only `failed` proves nothing about the instance. */
export type FreshConsole =
  | { readonly is: 'here'; readonly admission: Admission }
  /** The instance has no such console: every token for it is refused. */
  | { readonly is: 'absent'; readonly refused: Refused }
  /** The credential may not create consoles. */
  | { readonly is: 'forbidden'; readonly cause: unknown }
  /** A 404: the server does not exist, is hidden from this credential or has no guest on its host, or the route is missing. */
  | { readonly is: 'unknown'; readonly cause: unknown }
  | { readonly is: 'failed'; readonly refused: Refused }

/** Creates a console and looks up its address. The new token is used for nothing else and never logged. */
export async function freshConsole(
  client: Client,
  instance: string,
  type: OpenableConsoleType,
  diagnose: Diagnose,
  signal: AbortSignal,
): Promise<FreshConsole> {
  try {
    const { url } = await client.createConsole(instance, type, { signal })
    const token = tokenOf(url)
    if (token === undefined) throw new Error('Nova returned a console URL without a token')
    const admission = admissionOf(await novaConnectInfo(client, token, signal))
    if (admission.instance !== instance) throw new Error('Nova returned a console of another instance')
    return { is: 'here', admission }
  } catch (cause) {
    return judgeFresh(cause, diagnose)
  }
}

/** Classifies Nova's refusals; `docs/consoles.md` lists them by the state of the server. */
function judgeFresh(cause: unknown, diagnose: Diagnose): FreshConsole {
  if (cause instanceof NotFound && cause.operation === 'showConsoleAuthToken') return failed(cause, diagnose)
  if (cause instanceof NotFound) return { is: 'unknown', cause }
  if (cause instanceof Forbidden && cause.key === 'forbidden') return { is: 'forbidden', cause }
  const unusable = unusableAnswer(cause)
  if (unusable) return absent(`Nova created a console that cannot be dialled: ${unusable}`, cause)
  // The instance is not ready, or has no console of this type; Nova also answers this for a stopped server.
  if (isAboutOne(cause)) return absent(`Nova refuses to create a console: ${cause.message}`, cause)
  if (cause instanceof NotImplemented && cause.key === 'notImplemented') return otherType(cause)
  if (cause instanceof VersionError) return otherType(cause)
  return failed(cause, diagnose)
}

const absent = (detail: string, cause: unknown): FreshConsole => ({
  is: 'absent',
  refused: new Refused('console_unreachable', detail, { cause }),
})

const otherType = (cause: Error): FreshConsole => ({
  is: 'absent',
  refused: new Refused('wrong_console_type', `Nova has no console of this type: ${cause.message}`, { cause }),
})

/** Nova also answers 500 for a server that is being deleted or migrated, and for a dead compute host. */
function failed(cause: unknown, diagnose: Diagnose): FreshConsole {
  if (cause instanceof ServerFault && cause.key !== undefined) {
    const detail = `Nova failed to create a console: ${cause.message}`
    return { is: 'failed', refused: new Refused('authority_unavailable', detail, { cause }) }
  }
  return { is: 'failed', refused: judgeService(cause, diagnose, 'Nova did not return the console').refused }
}
