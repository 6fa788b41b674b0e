import { createClient, staticToken } from '@oriel/sdk'

const client = createClient({ endpoint: 'http://127.0.0.1:8774/v2.1', auth: staticToken('…') })

/** Uses a fixed microversion. Only its operations, bodies and responses compile. */
export async function nativeConsole(server_id: string) {
  const { remote_console } = await client.at('2.99').createRemoteConsole({
    server_id,
    body: { remote_console: { protocol: 'spice', type: 'spice-direct' } },
  })
  // @ts-expect-error below 2.99 there is no such type
  const tooEarly = () => client.at('2.98').createRemoteConsole({ server_id, body: { remote_console } })
  return { url: remote_console.url, tooEarly }
}

/** Uses the highest microversion that client and API support: a union, which narrows by operation. */
export async function whereIs(console_token: string) {
  const operations = await client.negotiate()
  if (!('showConsoleAuthToken' in operations)) return undefined
  const { console } = await operations.showConsoleAuthToken({ console_token })
  return `${console.host}:${console.port}`
}
