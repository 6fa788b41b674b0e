import { createClient, staticToken } from '@oriel/sdk'

const client = createClient({ endpoint: 'http://127.0.0.1:8774/v2.1', auth: staticToken('…') })

/** Lists the open sessions of a server. */
export async function viewers(server_id: string) {
  const { sessions } = await client.oriel.listSessions({ query: { server_id, state: 'open' } })
  return sessions.map(({ id, user_id, type, started_at }) => ({ id, user_id, type, started_at }))
}

/** Ends a session. Its proxy closes it within a heartbeat. */
export const end = (session_id: string) => client.oriel.endSession({ session_id })

/** Revokes all console addresses of a server, and ends the sessions that were opened with them. */
export const lockOut = (server_id: string) => client.oriel.revokeTokens({ server_id })
