import { type Client, Conflict, ConnectionError, FaultError, NotFound } from '@oriel/sdk'

/** Returns the message for the user who requested a console. */
export async function consoleOrReason(client: Client, serverId: string): Promise<string> {
  try {
    return (await client.createConsole(serverId, 'novnc', { signal: AbortSignal.timeout(5000) })).url
  } catch (error) {
    if (error instanceof NotFound) return 'There is no such machine.'
    if (error instanceof Conflict) return `Not now: ${error.message}`
    if (error instanceof FaultError) return `${error.message} (${error.status}, request ${error.requestId})`
    if (error instanceof ConnectionError) return `The cloud does not answer: ${error.reason}.`
    throw error
  }
}
