import { createClient } from '@oriel/sdk'
import { fromClouds } from '@oriel/sdk/node'

const client = createClient(fromClouds({ cloud: 'prod' }))

/** Returns the address for a signed-in user. The portal must check that the user owns the server. */
export async function consoleAddress(serverId: string): Promise<string> {
  const { url } = await client.createConsole(serverId, 'novnc')
  return url
}
