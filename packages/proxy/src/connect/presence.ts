/**
 * Connects the presence WebSocket of a page: from the Upgrade request to its end. It needs no token, because the page key
 * names a session that was admitted and is open.
 */
import { PRESENCE_PATH, PRESENCE_SUBPROTOCOL } from '@oriel/contract'
import { Refused } from '../refused.ts'
import type { PageSession } from '../session/page-sessions.ts'
import { accept } from './accept.ts'
import { arrive, refuseWhenDraining, type WebSocketRoute } from './arrive.ts'
import type { ConnectContext, Connecting } from './context.ts'
import { sharesControl } from './join-console.ts'
import { PageInvitations } from './page-invitations.ts'
import { MAX_REQUEST_BYTES, PresenceConnection } from './presence-connection.ts'
import { chooseSubprotocol, pageKeyDigest } from './upgrade.ts'

/** Whether a path is that of the presence WebSocket. */
export const isPresencePath = (path: string): boolean => path.endsWith(`/${PRESENCE_PATH}`)

/** @throws Refused; the signal's reason once it aborts */
export async function connectPresence(connecting: Connecting, { type }: WebSocketRoute): Promise<void> {
  const { context, upgrade, signal } = connecting
  const { request } = upgrade
  const offered = request.headers['sec-websocket-protocol']
  const subprotocol = chooseSubprotocol(offered, [PRESENCE_SUBPROTOCOL])
  if (subprotocol === undefined) throw new Refused('bad_request', `${PRESENCE_SUBPROTOCOL} is not offered`)
  const keyDigest = pageKeyDigest(offered)
  if (keyDigest === undefined) throw new Refused('missing_token', 'the request has no page key')
  using arrival = arrive(connecting)
  arrival.admitOrigin()
  const session = await findSession(connecting, keyDigest)
  if (session.facts.type !== type) throw new Refused('unknown_token', `the page key is for ${session.facts.type}`)
  const invitations = sharesControl(context.consoles[type], type) ? invitationsOf(context, session) : undefined
  const connection = new PresenceConnection(context, session.id, invitations)
  using resources = new DisposableStack()
  const attached = await context.sharedConsoles.attach(session.id, connection)
  if (!attached) throw new Refused('unknown_token', 'the session of the page key has ended')
  resources.use(attached)
  signal.throwIfAborted()
  refuseWhenDraining(context)
  await accept(
    upgrade,
    subprotocol,
    (client) => {
      context.unauthenticatedLimits.admitted(request.socket)
      connection.open(client, attached, resources.move(), context.closing)
    },
    MAX_REQUEST_BYTES,
  )
}

function invitationsOf({ authority, log }: ConnectContext, { id, inviter }: PageSession): PageInvitations | undefined {
  const invitations = inviter === undefined ? undefined : authority.invitationsOf?.({ id, inviter })
  return invitations && new PageInvitations({ invitations, session: id, log })
}

/** Finds the session. Unknown page keys count like unknown tokens. @throws Refused `unknown_token` */
async function findSession({ context, client, signal }: Connecting, keyDigest: string): Promise<PageSession> {
  const lookUp = async () => {
    const session = await context.pageSessions.find(keyDigest)
    if (!session) throw new Refused('unknown_token', 'no open session has this page key')
    return session
  }
  return context.unauthenticatedLimits.ask(client, lookUp, signal)
}
