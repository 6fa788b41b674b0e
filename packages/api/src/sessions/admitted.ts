/** The parts that all admissions share: by a token, and by an earlier session. */
import { canonicalAddress } from '@oriel/runtime'
import { HttpFault } from '../http/faults.ts'
import type { Server } from '../sources/server.ts'
import type { SourceConsole } from '../sources/source.ts'
import type { NewSession } from './store.ts'

/** The members of a request to admit a session that name the client. */
export interface AdmittedClient {
  readonly proxy_id: string
  readonly client_address: string
}

export const clientOf = ({ body: { proxy_id, client_address } }: { readonly body: AdmittedClient }) => ({
  proxyId: proxy_id,
  clientAddress: canonicalAddress(client_address) ?? client_address,
})

type Parties = Pick<NewSession, 'serverId' | 'projectId' | 'userId' | 'protocol' | 'type'>

export const partiesOf = ({ serverId, projectId, userId, protocol, type }: Parties): Parties => ({
  ...{ serverId, projectId, userId, protocol, type },
})

/** The server of a session, as its proxy needs it, and the address of the console. */
export interface Place {
  readonly server: Pick<Server, 'name'>
  readonly address: SourceConsole
}

/**
 * The place of a server that may be restarting, for a proxy to which the API cannot say that it is switched off. No proxy can dial
 * it, and each refuses its client as `console_unreachable`, so that the page tries again.
 */
export const placeOfRestarting = (name: string): Place => ({
  server: { name },
  address: { host: 'restarting.invalid', port: null },
})

/** Also for a session that may not be resumed: a ticket reveals nothing about it to a client that may not resume it. */
export const tokenNotFound = () => new HttpFault(404, 'Token not found')
