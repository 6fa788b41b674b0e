/** The names that Nova knows an instance by. */
import { type Client, Forbidden, NotFound } from '@oriel/sdk'
import { Refused } from '../refused.ts'
import type { InstanceNames } from '../rfb/identity.ts'

/** What libvirt calls the guest, such as `instance-0000002a`. Nova shows it to administrators alone. */
const INSTANCE_NAME = 'OS-EXT-SRV-ATTR:instance_name'

/** Asks Nova for the server. @throws what the client throws */
export async function novaNames(client: Client, instance: string, signal: AbortSignal): Promise<InstanceNames> {
  const { server } = await (await client.negotiate({ signal })).showServer({ server_id: instance }, { signal })
  const libvirtName = (server as Readonly<Record<string, unknown>>)[INSTANCE_NAME]
  const names = [server.name, server.id]
  if (typeof libvirtName === 'string') return { names: [libvirtName, ...names] }
  return { names, missing: `Nova does not tell the proxy ${INSTANCE_NAME}, which takes the role admin` }
}

/** Whether Nova failed to answer: that there is no such server is an answer, and so is that it may not be seen. */
export const isNoAnswerOfNames = (error: unknown) => !isUnknown(error) && !(error instanceof Forbidden)

/** What a failure means for the connect that needs the names. */
export function namesRefusalOf(cause: unknown): Refused {
  if (isUnknown(cause)) {
    const detail = 'Nova shows the proxy no such server: it is gone, or the credential needs the role admin to see it'
    return new Refused('console_moved', detail, { cause })
  }
  if (cause instanceof Forbidden) {
    const detail = 'Nova does not let the proxy see servers: its credential needs the role admin'
    return new Refused('authority_unavailable', detail, { cause })
  }
  return new Refused('authority_unavailable', 'Nova did not say what the instance is called', { cause })
}

/** A 404 without Nova's fault in it comes from something else at that address. */
const isUnknown = (error: unknown) => error instanceof NotFound && error.key === 'itemNotFound'
