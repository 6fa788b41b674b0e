import { ConsoleClosed, ConsoleRefused, openScreen, ProtocolError, WaitTimeout } from '@oriel/console'
import { type Client, ConnectionError } from '@oriel/sdk'

/** Clicks a button once the screen shows `picture`, a PNG of the whole screen, and reports what went wrong. */
export async function clickWhen(client: Client, serverId: string, picture: Uint8Array): Promise<string> {
  try {
    await using screen = await openScreen(client, serverId, { signal: AbortSignal.timeout(10_000) })
    await screen.waitForPicture(picture, { tolerance: 0.01, timeoutMs: 60_000 })
    await screen.click(120, 80)
    return 'clicked'
  } catch (error) {
    if (error instanceof WaitTimeout) return `not shown: ${error.screenshot.width}x${error.screenshot.height} instead`
    if (error instanceof ConsoleRefused) return `refused (${error.refusal}): ${error.message}`
    if (error instanceof ConsoleClosed) return `closed (${error.code}, then ${error.remedy}): ${error.message}`
    if (error instanceof ConnectionError) return `no answer (${error.reason}): ${error.message}`
    if (error instanceof ProtocolError) return `not a console that this package supports: ${error.message}`
    throw error
  }
}
