/** The requests to oriel-api about invitations, and the sentences for its faults. */
import type { PageInvitation } from '@oriel/contract'
import { BadRequest, Conflict, FaultError, Forbidden, NotFound } from '@oriel/sdk'
import { describe, expect, it } from 'vitest'
import { invitationsOf } from '../../src/authority/invitations.ts'
import { InvitationObjection } from '../../src/presence/invitations.ts'
import { Refused } from '../../src/refused.ts'

const shown = { id: 'i1', role: 'watch', label: null, expires_at: '2026-11-29T12:00:00.000Z', is_used: false } as const
const documented: PageInvitation = {
  ...{ ...shown, session_id: 's1', server_id: 'server-1', type: 'novnc', created_by: 'ann' },
  created_at: '2026-11-29T11:00:00.000Z',
}
const AT = { proxy_id: 'worker-2', session_id: 's1' }

/** Calls an API that answers with `answer`, or throws it. Returns the inputs of its requests beside the invitations. */
function against(answer: unknown) {
  const inputs: unknown[] = []
  const operation = async (input: unknown) => {
    inputs.push(input)
    if (answer instanceof Error) throw answer
    return answer
  }
  const invitations = invitationsOf(
    {
      oriel: {
        createPageInvitation: operation,
        listPageInvitations: operation,
        revokePageInvitation: operation,
      } as never,
      refusedBy: (cause) => new Refused('authority_unavailable', 'down', { cause }),
      closing: new AbortController().signal,
    },
    { id: 's1', inviter: 'worker-2' },
  )
  return { inputs, invitations }
}

const faultOf = (Fault: typeof FaultError, status: number, message: string, key: string | null = 'key') =>
  new Fault(message, {
    status,
    operation: 'o',
    requestId: undefined,
    key: key ?? undefined,
    retryAfterSeconds: undefined,
  })

describe('invitations by oriel-api', () => {
  it('are requested for the proxy that has the session, and returned with the link', async () => {
    const { inputs, invitations } = against({ invitation: { ...documented, url: 'https://h/vnc.html?token=t' } })
    const invited = await invitations.invite({ role: 'watch', ttlSeconds: 60, label: 'Bob' })
    expect(invited).toEqual({ invitation: shown, url: 'https://h/vnc.html?token=t' })
    expect(inputs).toEqual([{ ...AT, body: { role: 'watch', ttl_seconds: 60, label: 'Bob' } }])
  })

  it('of a serial console have the link of its page, since a browser opens no WebSocket URL', async () => {
    const url = 'wss://h/?token=t'
    const { invitations } = against({ invitation: { ...documented, type: 'serial', url } })
    expect((await invitations.invite({ role: 'watch' })).url).toBe('https://h/serial.html?token=t')
  })

  it('are listed with their limits', async () => {
    const { invitations } = against({ invitations: [documented], max_ttl_seconds: 600, max_invitations: 16 })
    expect(await invitations.list()).toEqual({ list: [shown], max_ttl_seconds: 600, max_invitations: 16 })
  })

  it('are revoked by their id', async () => {
    const { inputs, invitations } = against(null)
    await invitations.revoke('i1')
    expect(inputs).toEqual([{ ...AT, invitation_id: 'i1' }])
  })

  it.each([
    [faultOf(Conflict, 409, 'A session has at most 16 invitations.'), 'A session has at most 16 invitations.'],
    [faultOf(BadRequest, 400, 'Invalid input for ttl_seconds.'), 'Invalid input for ttl_seconds.'],
    [faultOf(FaultError, 501, 'Not supported.'), 'Not supported.'],
    [faultOf(NotFound, 404, 'The proxy has no such session.'), 'The session has ended.'],
    [
      faultOf(Forbidden, 403, "The proxy_id one belongs to another user's credential."),
      'You may not invite to this console.',
    ],
  ])('that the API refuses are objections: %s', async (fault, text) => {
    const { invitations } = against(fault)
    const error = await invitations.invite({ role: 'watch' }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(InvitationObjection)
    expect((error as Error).message).toBe(text)
  })

  it('that do not exist cannot be revoked', async () => {
    const { invitations } = against(faultOf(NotFound, 404, 'Invitation i1 could not be found.'))
    await expect(invitations.revoke('i1')).rejects.toThrow('This invitation does not exist any more.')
  })

  it.each([
    faultOf(FaultError, 503, 'Down.'),
    faultOf(Conflict, 409, '<html>', null),
    new Error('connect ECONNREFUSED'),
  ])('that the API did not answer are refused as unavailable: %s', async (cause) => {
    await expect(against(cause).invitations.list()).rejects.toMatchObject({ refusal: 'authority_unavailable', cause })
  })
})
