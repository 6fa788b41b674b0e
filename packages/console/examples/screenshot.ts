import { openScreen } from '@oriel/console'
import type { Client } from '@oriel/sdk'

/** Returns the screen of a server as PNG once it has not changed for five seconds. */
export async function screenshot(client: Client, serverId: string): Promise<Uint8Array> {
  await using screen = await openScreen(client, serverId)
  const image = await screen.waitForStill({ quietMs: 5000, timeoutMs: 120_000 })
  return image.png()
}
