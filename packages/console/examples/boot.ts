import { openScreen } from '@oriel/console'
import type { Client } from '@oriel/sdk'

/** Restarts a machine with the keyboard, and returns its screen as PNG once it has not changed for five seconds. */
export async function restart(client: Client, serverId: string): Promise<Uint8Array> {
  await using screen = await openScreen(client, serverId)
  await screen.press('Control+Alt+Delete')
  await screen.waitFor(({ width, height }) => width === 720 && height === 400)
  const image = await screen.waitForStill({ quietMs: 5000, timeoutMs: 120_000 })
  return image.png()
}
