import { createClient, staticToken } from '@oriel/sdk'

const client = createClient({ endpoint: 'http://127.0.0.1:8774/v2.1', auth: staticToken('…') })

/** Who looks at a server's consoles now. */
export async function viewers(server_id: string) {
  const { sessions } = await client.oriel.listSessions({ query: { server_id, state: 'open' } })
  return sessions.map(({ id, user_id, type, started_at }) => ({ id, user_id, type, started_at }))
}

/** Ends one of them; its proxy closes it within a heartbeat. */
export const end = (session_id: string) => client.oriel.endSession({ session_id })

/** Makes every console address of a server worthless, and ends whatever was opened with one. */
export const lockOut = (server_id: string) => client.oriel.revokeTokens({ server_id })
