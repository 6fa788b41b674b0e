import { createClient } from '@oriel/sdk'
import { fromClouds } from '@oriel/sdk/node'

const client = createClient(fromClouds({ cloud: 'prod' }))

/** The address to send a signed-in user to; the server's owner is the portal's to check. */
export async function consoleAddress(serverId: string): Promise<string> {
  const { url } = await client.createConsole(serverId, 'novnc')
  return url
}
