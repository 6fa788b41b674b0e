/** Several sources as one. */
import { SourceError, SourcePartlyUnavailable } from './errors.ts'
import type { Server } from './server.ts'
import type { CallOptions, Source } from './source.ts'

/**
 * One source of all servers of `sources`. An id belongs to the first source that knows it.
 * Disposing of it disposes of them.
 */
export function combineSources(sources: readonly Source[]): Source {
  if (sources.length === 1) return sources[0]!
  const owners = new WeakMap<Server, Source>()
  const owned = (server: Server, source: Source) => {
    owners.set(server, source)
    return server
  }
  const ownerOf = (server: Server) => owners.get(server) ?? unknownServer(server)
  return {
    name: sources.map(({ name }) => name).join('+'),
    parts: sources,
    async list(options) {
      const lists = await Promise.all(
        sources.map(async (source) => (await source.list(options)).map((server) => owned(server, source))),
      )
      return firstOfEachId(lists.flat())
    },
    async find(id, options) {
      for (const source of sources) {
        const server = await source.find(id, options)
        if (server) return owned(server, source)
      }
      return undefined
    },
    console: (server, protocol, type, options) => ownerOf(server).console(server, protocol, type, options),
    async output(server, options) {
      const source = ownerOf(server)
      if (!source.output) throw new SourceError('NotImplemented', `${source.name} cannot read console logs`)
      return source.output(server, options)
    },
    async check(options) {
      if (sources.length > 0) await anyAnswers(sources, options)
    },
    subscribe(listener) {
      const stack = new DisposableStack()
      for (const source of sources) stack.use(source.subscribe?.(listener))
      return stack
    },
    async [Symbol.asyncDispose]() {
      await using stack = new AsyncDisposableStack()
      for (const source of sources) stack.use(source)
    },
  }
}

/** Resolves with the first that answers, so that one that hangs holds nobody up. */
async function anyAnswers(sources: readonly Source[], options?: CallOptions): Promise<void> {
  try {
    await Promise.any(sources.map((source) => answersAtAll(source, options)))
  } catch (cause) {
    throw new Error('no source answers', { cause })
  }
}

/** @throws the check's error, unless the source answers for some of its servers. */
export async function answersAtAll(source: Source, options?: CallOptions): Promise<void> {
  try {
    await source.check?.(options)
  } catch (error) {
    if (!(error instanceof SourcePartlyUnavailable)) throw error
  }
}

function firstOfEachId(servers: readonly Server[]): readonly Server[] {
  const seen = new Set<string>()
  return servers.filter(({ id }) => !seen.has(id) && seen.add(id))
}

function unknownServer({ id }: Server): never {
  throw new TypeError(`server ${id} was not found by this source`)
}
