import { openScreen } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromClouds } from '@oriel/sdk/node'

const client = createClient(fromClouds({ cloud: 'prod' }))

/** Restarts a machine into the second entry of its GRUB menu, and returns the text at its login. */
export async function recover(serverId: string): Promise<string> {
  await using screen = await openScreen(client, serverId)
  await screen.press('Control+Alt+Delete')
  await screen.waitForText('GNU GRUB', { timeoutMs: 60_000 })
  await screen.press('ArrowDown', 'Enter')
  const { screen: text } = await screen.waitForText(/login:$/m, { timeoutMs: 120_000 })
  return String(text)
}
