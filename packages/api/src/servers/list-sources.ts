/** GET /oriel/v1/sources: the sources of servers, and which of them do not respond. */

import type { ExtensionResponse } from '@oriel/contract'
import { within } from '@oriel/runtime'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { isAdmin } from '../policy/enforce.ts'
import { forbidden } from '../policy/forbidden.ts'
import type { CallOptions, Source } from '../sources/source.ts'

type SourceDocument = ExtensionResponse<'listSources'>['sources'][number]

const RULE = 'oriel:sources:list'

/** Lists every source, responding or not, to callers who see all projects, since a hypervisor does not belong to one. */
export function listSources({ source }: { readonly source: Source }): ExtensionOperations['listSources'] {
  return async function listSources({ identity, signal }) {
    if (!isAdmin(identity)) throw forbidden(RULE)
    const sources = source.parts ?? [source]
    return { sources: await Promise.all(sources.map((each) => documentOf(each, { signal }))) }
  }
}

async function documentOf(source: Source, { signal }: Required<CallOptions>): Promise<SourceDocument> {
  const [checked, listed] = await Promise.allSettled([
    within(signal, Promise.resolve(source.check?.({ signal }))),
    within(signal, source.list({ signal })),
  ])
  const servers = listed.status === 'fulfilled' ? listed.value : []
  return {
    kind: source.name,
    servers: servers.length,
    answers: checked.status === 'fulfilled' && listed.status === 'fulfilled',
    unanswered: servers.flatMap(({ id, unansweredSince }) =>
      unansweredSince === undefined ? [] : [{ server_id: id, since: new Date(unansweredSince).toISOString() }],
    ),
  }
}
