/** `oriel sessions` */
import { type Client, NotFound, type Session } from '@oriel/sdk'
import { textOf } from '../arguments/options.ts'
import { findServer } from '../cloud/servers.ts'
import { signIn } from '../cloud/sign-in.ts'
import { Failure } from '../failure.ts'
import { echoed, print, printJson, say, table } from '../output.ts'
import type { Call } from './command.ts'

/** Lists sessions, or ends one. */
export async function run(call: Call): Promise<undefined> {
  const [action = 'list', id] = call.words
  if (action === 'list' && id === undefined) return list(call)
  if (action === 'end' && id !== undefined) return end(call, id)
  throw new Failure('usage', 'Write oriel sessions list, or oriel sessions end ID.')
}

async function list({ values }: Call): Promise<undefined> {
  const { client } = signIn(values)
  const name = textOf(values, 'server')
  const server_id = name === undefined ? undefined : (await findServer(client, name)).id
  const sessions = await listSessions(client, { server_id, state: values.ended ? 'ended' : 'open' })
  if (values.json) return printJson({ sessions })
  print(table(TITLES, sessions.map(row)))
}

const TITLES = ['ID', 'SERVER', 'TYPE', 'USER', 'FROM', 'SINCE', 'ROLE']

const row = ({ id, server_name, type, user_id, client_address, started_at, role }: Session) => [
  id,
  server_name,
  type,
  user_id,
  client_address,
  started_at.replace(/\.\d+/, ''),
  role ?? 'control',
]

type Wanted = { readonly server_id?: string | undefined; readonly state: 'open' | 'ended' }

async function listSessions(client: Client, { server_id, state }: Wanted): Promise<readonly Session[]> {
  try {
    const { sessions } = await client.oriel.listSessions({
      query: { state, ...(server_id !== undefined && { server_id }) },
    })
    return sessions
  } catch (error) {
    throw error instanceof NotFound ? noList(error) : error
  }
}

const noList = (cause: Error) =>
  new Failure('failed', "This API has no list of sessions: Oriel's API has one, Nova has none.", { cause })

async function end({ values }: Call, session_id: string): Promise<undefined> {
  const { client } = signIn(values)
  try {
    await client.oriel.endSession({ session_id })
  } catch (error) {
    if (!(error instanceof NotFound)) throw error
    await listSessions(client, { state: 'open' })
    throw new Failure('notFound', `There is no session ${echoed(session_id)}. See oriel sessions.`, { cause: error })
  }
  if (values.json) return printJson({ ended: session_id })
  say(`session ${echoed(session_id)} is ending; its proxy closes it within a heartbeat`)
}
