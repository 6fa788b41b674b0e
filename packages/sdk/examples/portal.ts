import { createClient } from '@oriel/sdk'
import { fromClouds } from '@oriel/sdk/node'

const client = createClient(fromClouds({ cloud: 'prod' }))

/** Returns the page for a signed-in user. The portal must check that the user owns the server. */
export async function consoleAddress(serverId: string): Promise<string> {
  const { pageUrl } = await client.createConsole(serverId, 'novnc')
  return pageUrl
}
