/** Combines several sources into one. */

import { SourceError, SourcePartlyUnavailable } from './errors.ts'
import { type Claim, Owners, type TwinServers } from './owners.ts'
import type { Server } from './server.ts'
import type { CallOptions, ServerChange, Source } from './source.ts'

/**
 * Combines `sources` into one. If several of them know an id, {@link Owners} decides which one it belongs to.
 * Disposing of it disposes of them.
 * @param onTwin called once for each server that is refused because another running one has its id
 */
export function combineSources(sources: readonly Source[], onTwin: (twin: TwinServers) => void = () => {}): Source {
  if (sources.length === 1) return sources[0]!
  const labelled = sources.map((source, index) => ({ source, label: `sources[${index}] ${source.name}` }))
  const sourceOf = new WeakMap<Server, Source>()
  const listeners = new Set<(change: ServerChange) => void>()
  const owners = new Owners({
    onTwin,
    onMoved: (serverId) => {
      for (const listener of listeners) listener({ serverId, kind: 'moved' })
    },
  })
  const owned = ({ server, source }: Claim) => {
    sourceOf.set(server, source)
    return server
  }
  const ownerOf = (server: Server) => sourceOf.get(server) ?? unknownServer(server)
  const list = async (options?: CallOptions) => {
    const lists = await Promise.all(
      labelled.map(async (each) => (await each.source.list(options)).map((server) => ({ server, ...each }))),
    )
    return owners.chooseEach(lists.flat()).map(owned)
  }
  return {
    name: sources.map(({ name }) => name).join('+'),
    parts: sources,
    list,
    async find(id, options) {
      const found = await Promise.all(
        labelled.map(async (each) => ({ ...each, server: await each.source.find(id, options) })),
      )
      const chosen = owners.choose(found.flatMap(({ server, ...each }) => (server ? [{ server, ...each }] : [])))
      return chosen && owned(chosen)
    },
    console: (server, protocol, type, options) => ownerOf(server).console(server, protocol, type, options),
    protocols: (server) => ownerOf(server).protocols?.(server),
    async output(server, options) {
      const source = ownerOf(server)
      if (!source.output) throw new SourceError('NotImplemented', `${source.name} cannot read console logs`)
      return source.output(server, options)
    },
    mayRestart: (id) => sources.some((source) => owners.concerns(source, id) && source.mayRestart?.(id)),
    switchedOff: (id) =>
      sources
        .filter((source) => owners.concerns(source, id))
        .map((source) => source.switchedOff?.(id))
        .find((server) => server !== undefined),
    async serialPorts() {
      // Decides first which source each id belongs to.
      await list()
      const lists = await Promise.all(
        sources.map(async (source) =>
          ((await source.serialPorts?.()) ?? []).filter(({ server }) => owners.concerns(source, server.id)),
        ),
      )
      return lists.flat()
    },
    onSerialPorts: (listener) => subscribeToAll(sources, listener),
    async check(options) {
      if (sources.length > 0) await anyAnswers(sources, options)
    },
    subscribe(listener) {
      const stack = new DisposableStack()
      listeners.add(listener)
      stack.defer(() => listeners.delete(listener))
      for (const source of sources) {
        const onChange = (change: ServerChange) => void (owners.concerns(source, change.serverId) && listener(change))
        stack.use(source.subscribe?.(onChange))
      }
      return stack
    },
    async [Symbol.asyncDispose]() {
      await using stack = new AsyncDisposableStack()
      for (const source of sources) stack.use(source)
    },
  }
}

function subscribeToAll(sources: readonly Source[], listener: () => void): Disposable {
  const stack = new DisposableStack()
  for (const source of sources) stack.use(source.onSerialPorts?.(listener))
  return stack
}

/** Resolves when the first source responds, so that a source that hangs does not delay the others. */
async function anyAnswers(sources: readonly Source[], options?: CallOptions): Promise<void> {
  try {
    await Promise.any(sources.map((source) => answersAtAll(source, options)))
  } catch (cause) {
    throw new Error('no source responds', { cause })
  }
}

/** Checks a source. @throws the check's error, unless the source responds for some of its servers. */
export async function answersAtAll(source: Source, options?: CallOptions): Promise<void> {
  try {
    await source.check?.(options)
  } catch (error) {
    if (!(error instanceof SourcePartlyUnavailable)) throw error
  }
}

function unknownServer({ id }: Server): never {
  throw new TypeError(`server ${id} was not found by this source`)
}
