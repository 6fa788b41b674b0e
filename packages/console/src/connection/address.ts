/** Finds the address of a console's WebSocket. */
import { socketAddress } from '@oriel/contract'
import { SettingsError } from '@oriel/sdk'

/**
 * Returns the WebSocket address of an access URL, by the rules of {@link socketAddress}.
 * @throws SettingsError if it has none. The message does not contain the URL, because it may have a token
 */
export function consoleAddress(url: string): URL {
  const address = socketAddress(url)
  if (address === undefined) throw new SettingsError(faultOf(url))
  return address
}

function faultOf(url: string): string {
  if (!URL.canParse(url)) return 'The URL of the console is malformed'
  const { protocol } = new URL(url)
  return /^https?:$/.test(protocol)
    ? 'The path parameter of the URL leads to another host'
    : `A console cannot be opened over ${protocol}`
}
