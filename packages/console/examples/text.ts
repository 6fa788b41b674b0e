import { loadGlyphs, openScreen, readText } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromClouds } from '@oriel/sdk/node'

const client = createClient(fromClouds({ cloud: 'prod' }))

/** Returns the text on the screen of a server. */
export async function screenText(serverId: string): Promise<string> {
  await using screen = await openScreen(client, serverId)
  return String(readText(await screen.screenshot(), await loadGlyphs()))
}
