import { createClient, staticToken } from '@oriel/sdk'

const client = createClient({ endpoint: 'http://127.0.0.1:8774/v2.1', auth: staticToken('…') })

/** Returns an address by which a colleague may watch the screen once, within a minute. */
export async function watchOnce(server_id: string, label: string): Promise<string> {
  const body = { type: 'novnc', role: 'watch', label, single_use: true, ttl_seconds: 60 } as const
  const { console } = await client.oriel.createConsole({ server_id, body })
  return console.url
}
