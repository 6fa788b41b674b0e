/** Nova's connect info of a console auth token. */
import type { ConnectInfo } from '@oriel/contract'
import type { Client } from '@oriel/sdk'

/** Looks a token up at the highest microversion that both sides support. @throws the errors of {@link Client} */
export async function novaConnectInfo(client: Client, token: string, signal: AbortSignal): Promise<ConnectInfo> {
  const api = await client.negotiate({ signal })
  if (!('showConsoleAuthToken' in api))
    throw new Error(`Nova offers only microversion ${api.microversion}, which has no connect info`)
  const { console } = await api.showConsoleAuthToken({ console_token: token }, { signal })
  return console
}
