import { createClient, staticToken } from '@oriel/sdk'

const client = createClient({ endpoint: 'http://127.0.0.1:8774/v2.1', auth: staticToken('…') })

/** Returns an address by which a colleague may watch the screen once, within a minute. */
export async function watchOnce(server_id: string, label: string): Promise<string> {
  const body = { type: 'novnc', role: 'watch', label, single_use: true, ttl_seconds: 60 } as const
  const { console } = await client.oriel.createConsole({ server_id, body })
  return console.url
}

/** Invites a colleague to an open session. Revoking the invitation ends the session that came with it. */
export async function invite(session_id: string, label: string) {
  const { invitation } = await client.oriel.createInvitation({ session_id, body: { role: 'control', label } })
  const revoke = () => client.oriel.revokeInvitation({ session_id, invitation_id: invitation.id })
  return { url: invitation.url, revoke }
}
