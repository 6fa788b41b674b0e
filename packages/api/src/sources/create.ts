/** Creates the configured sources. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '@oriel/runtime'
import { combineSources } from './combine.ts'
import type { SourceConfig } from './config.ts'
import { createLibvirtSource } from './libvirt/source.ts'
import { createQemuSource } from './qemu/source.ts'
import type { Source } from './source.ts'
import { createReloadingSource, type ReloadingSource } from './static/reloading.ts'

export interface SourceContext {
  readonly log: Logger
}

type Factories = {
  [Kind in SourceConfig['kind']]: (
    config: Extract<SourceConfig, { kind: Kind }>,
    context: SourceContext,
  ) => Source | Promise<Source>
}

const factories: Factories = {
  static: createReloadingSource,
  qemu: createQemuSource,
  libvirt: (config, { log }) => createLibvirtSource(config, { log }),
}

export interface ConfiguredSources extends AsyncDisposable {
  /** All sources as one. */
  readonly source: Source
  /** Applies the servers that `configs` lists now. Other changes wait for a restart. */
  reload(configs: readonly SourceConfig[]): void
}

/** The keys that `reload` applies, in the runtime's notation. */
export const reloadableSourceKeys = ['sources[].servers'] as const

/** Creates the sources that `configs` describe. If one of them fails, closes those before it. */
export async function createSources(
  configs: readonly SourceConfig[],
  context: SourceContext,
): Promise<ConfiguredSources> {
  await using stack = new AsyncDisposableStack()
  const sources: Source[] = []
  for (const config of configs) sources.push(stack.use(await factoryOf(config)(config, context)))
  const rest = stack.move()
  return {
    source: combineSources(sources, (twin) =>
      context.log.warn(twin, 'a second server with this id is refused: give each guest its own UUID'),
    ),
    reload: (next) => reloadListed(sources, configs, next, context.log),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** A list belongs to the source with the same index, so nothing is applied if the sources themselves have changed. */
function reloadListed(
  sources: readonly Source[],
  before: readonly SourceConfig[],
  next: readonly SourceConfig[],
  log: Logger,
): void {
  if (!isDeepStrictEqual(before.map(withoutServers), next.map(withoutServers))) {
    log.warn('sources were changed, so the servers that the configuration lists wait for a restart too')
    return
  }
  for (const [index, config] of next.entries()) {
    if (config.kind === 'static') (sources[index] as ReloadingSource).reload(config.servers)
  }
}

const withoutServers = (config: SourceConfig) => (config.kind === 'static' ? { ...config, servers: [] } : config)

/** TypeScript cannot follow that `factories` has the factory for each member of the union. */
const factoryOf = ({ kind }: SourceConfig) =>
  factories[kind] as (config: SourceConfig, context: SourceContext) => Source | Promise<Source>
