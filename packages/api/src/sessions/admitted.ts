/** The parts that all admissions share: by a token, and by an earlier session. */
import { canonicalAddress } from '@oriel/runtime'
import { HttpFault } from '../http/faults.ts'
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

/** Also for a session that may not be resumed: a ticket reveals nothing about it to a client that may not resume it. */
export const tokenNotFound = () => new HttpFault(404, 'Token not found')
