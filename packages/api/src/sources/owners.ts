/** Decides which source an id belongs to if several sources know it. */
import { isOff, type Server } from './server.ts'
import type { Source } from './source.ts'

/** A server, and the source that lists it. */
export interface Claim {
  readonly server: Server
  readonly source: Source
  /** The source's name for the log, such as `sources[1] qemu`. */
  readonly label: string
}

/** Two running servers with the same id. */
export interface TwinServers {
  readonly serverId: string
  readonly first: string
  readonly second: string
}

export interface OwnersOptions {
  /** Called once for each server that is refused, for the log. */
  readonly onTwin: (twin: TwinServers) => void
  /** Called when an id moves to another source, so that addresses from the former source become void. */
  readonly onMoved: (serverId: string) => void
}

/**
 * An id belongs to the running server. If several run, it belongs to the one that was found first, so that a guest cannot
 * replace another by claiming its UUID; if they were found at once, as at the start, to the one of the first source.
 */
export class Owners {
  readonly #options: OwnersOptions
  readonly #owners = new Map<string, Source>()
  /** By id, the labels of the sources whose server is refused. */
  readonly #refused = new Map<string, ReadonlySet<string>>()

  constructor(options: OwnersOptions) {
    this.#options = options
  }

  /** Chooses among claims of one id, in the order of their sources. */
  choose(claims: readonly Claim[]): Claim | undefined {
    const [first] = claims.toSorted((a, b) => rank(b.server) - rank(a.server) || foundAt(a.server) - foundAt(b.server))
    if (!first) return undefined
    const { id } = first.server
    const before = this.#owners.get(id)
    this.#owners.set(id, first.source)
    this.#nameTwins(claims, first)
    if (before && before !== first.source) this.#options.onMoved(id)
    return first
  }

  /** Chooses among claims of any ids. Each id keeps the position of its first claim. */
  chooseEach(claims: readonly Claim[]): readonly Claim[] {
    const byId = Map.groupBy(claims, ({ server }) => server.id)
    for (const known of [this.#owners, this.#refused]) {
      for (const id of known.keys()) if (!byId.has(id)) known.delete(id)
    }
    return [...byId.values()].map((each) => this.choose(each)!)
  }

  /** Whether a change that this source reports for the id affects published addresses: only the owner's changes do. */
  concerns(source: Source, id: string): boolean {
    const owner = this.#owners.get(id)
    return owner === undefined || owner === source
  }

  #nameTwins(claims: readonly Claim[], first: Claim): void {
    const serverId = first.server.id
    const runs = rank(first.server) === RUNS
    const twins = claims.filter(({ server, source }) => runs && source !== first.source && rank(server) === RUNS)
    for (const { label } of twins) {
      if (!this.#refused.get(serverId)?.has(label))
        this.#options.onTwin({ serverId, first: first.label, second: label })
    }
    if (twins.length > 0) this.#refused.set(serverId, new Set(twins.map(({ label }) => label)))
    else this.#refused.delete(serverId)
  }
}

const RUNS = 2

/** During a migration, the running side counts. */
function rank({ vmState, taskState }: Server): number {
  if (isOff(vmState)) return 0
  return taskState === 'migrating' ? 1 : RUNS
}

const foundAt = ({ createdAt = 0 }: Server) => createdAt
