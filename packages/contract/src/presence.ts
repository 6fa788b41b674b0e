/**
 * The messages of the presence WebSocket, which a page opens beside its console. Each is one JSON text frame. The proxy sends
 * {@link PresenceState} at once and after every change; the page sends {@link PresenceRequest}.
 */
import * as Type from 'typebox'
import { consoleLabel } from './label.ts'
import { type ConsoleRole, consoleRoles } from './roles.ts'

const closed = <P extends Type.TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false })
const id = Type.String({ minLength: 1, maxLength: 64 })
const nullable = <S extends Type.TSchema>(schema: S) => Type.Union([schema, Type.Null()])

const role = Type.Unsafe<ConsoleRole>(Type.Union(consoleRoles.map((each) => Type.Literal(each))))

const participant = Type.Object({
  id: Type.String({ description: "The session's id, as in the log and the list of sessions." }),
  label: nullable(Type.String({ description: 'The label of the console or the invitation; null if it has none.' })),
  role,
  since: Type.String({ description: 'ISO 8601, UTC.' }),
  has_control: Type.Boolean({ description: 'Whether its input reaches the machine now.' }),
})

const invitation = Type.Object({
  id,
  role,
  label: nullable(Type.String()),
  expires_at: Type.String({ description: 'How long its link may be opened. ISO 8601, UTC.' }),
  is_used: Type.Boolean({ description: 'Whether its link has opened its one console.' }),
})

/** The state of a console's presence, as one of its pages sees it. */
export const presenceState = Type.Object({
  type: Type.Literal('state'),
  you: Type.String({ description: 'The id of your own session.' }),
  participants: Type.Array(participant, {
    description: 'The sessions of this console, the oldest first. With Nova, those at this proxy.',
  }),
  control: Type.Object({
    held_by: nullable(
      Type.String({ description: 'The session that alone has control; null: all whose role is control.' }),
    ),
    may_take: Type.Boolean({ description: 'Whether you may take control.' }),
    requested_by: Type.Array(Type.String(), { description: 'The sessions that request control, the earliest first.' }),
  }),
  ends_at: nullable(Type.String({ description: 'When the session ends at the latest. ISO 8601, UTC.' })),
  latency_ms: nullable(
    Type.Integer({ minimum: 0, description: 'The last round trip to your page; null before the first.' }),
  ),
  may_invite: Type.Optional(Type.Boolean({ description: 'Whether you may invite to your session. Absent: no.' })),
  invitations: Type.Optional(
    Type.Object({
      list: Type.Array(invitation, { description: 'Those to your session, the newest first.' }),
      max_ttl_seconds: Type.Integer({ minimum: 0, description: 'How long a new link may be opened at most.' }),
      max_invitations: Type.Integer({ minimum: 1, description: 'How many a session may have.' }),
    }),
  ),
})

const ref = Type.Optional(
  Type.String({ maxLength: 64, description: 'The `ref` of the request, by which a page finds its answer.' }),
)

/** The answer to `invite`, to the page alone that requested it. */
export const presenceInvited = Type.Object({
  type: Type.Literal('invited'),
  ref,
  invitation,
  url: Type.String({ description: 'The link. It opens the console once: give it to its user alone.' }),
})

/** The answer to `revoke_invitation`. */
export const presenceInvitationRevoked = Type.Object({
  type: Type.Literal('invitation_revoked'),
  ref,
  id,
})

/** The proxy's answer to a request that it does not carry out. */
export const presenceRefused = Type.Object({
  type: Type.Literal('refused'),
  request: Type.String({ description: 'The type of the request.' }),
  ref,
  text: Type.String({ description: 'The reason and the remedy, as a sentence for people.' }),
})

/** The proxy's answer to {@link presencePing}. */
export const presencePong = Type.Object({ type: Type.Literal('pong') })

/** Every message of the proxy. */
export const presenceMessage = Type.Union([
  presenceState,
  presenceRefused,
  presenceInvited,
  presenceInvitationRevoked,
  presencePong,
])

/**
 * Sent by a page that wants to know whether its link still works: a browser does not let it send WebSocket pings. An older proxy
 * answers with {@link presenceRefused}.
 */
export const presencePing = closed({ type: Type.Literal('ping') })

/** The requests of a page about its console. */
export const presenceConsoleRequest = Type.Union([
  /** Asks those who have control to give it. */
  closed({ type: Type.Literal('request_control') }),
  /** Withdraws the request. */
  closed({ type: Type.Literal('withdraw_request') }),
  /** Gives control to another session, and to it alone. */
  closed({ type: Type.Literal('give_control'), to: id }),
  /** Takes control, for this session alone. */
  closed({ type: Type.Literal('take_control') }),
  /** Gives control back: all sessions whose role is control have it then. */
  closed({ type: Type.Literal('release_control') }),
  /** Ends the session. */
  closed({ type: Type.Literal('leave') }),
])

/** The requests of a page about invitations to its session. */
export const presenceInvitationRequest = Type.Union([
  /** Invites somebody to the session, with a link. */
  closed({
    type: Type.Literal('invite'),
    ref,
    role,
    ttl_seconds: Type.Optional(
      Type.Integer({ minimum: 1, description: "How long the link may be opened. Absent: the API's default." }),
    ),
    label: Type.Optional(consoleLabel),
  }),
  /** Revokes an invitation, and ends the sessions that came with it. */
  closed({ type: Type.Literal('revoke_invitation'), ref, id }),
])

/** Every request of a page. */
export const presenceRequest = Type.Union([...presenceConsoleRequest.anyOf, ...presenceInvitationRequest.anyOf])

export type PresenceParticipant = Type.Static<typeof participant>
export type PresenceState = Type.Static<typeof presenceState>
export type PresenceInvitation = Type.Static<typeof invitation>
export type PresenceInvited = Type.Static<typeof presenceInvited>
export type PresenceInvitationRevoked = Type.Static<typeof presenceInvitationRevoked>
export type PresenceRefused = Type.Static<typeof presenceRefused>
export type PresencePing = Type.Static<typeof presencePing>
export type PresenceMessage = Type.Static<typeof presenceMessage>
export type PresenceConsoleRequest = Type.Static<typeof presenceConsoleRequest>
export type PresenceInvitationRequest = Type.Static<typeof presenceInvitationRequest>
export type PresenceRequest = Type.Static<typeof presenceRequest>
