/** One libvirt connection. Follows its domains by events, and polls for changes that have no event. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Protocol } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { SourceError, SourceUnavailable } from '../errors.ts'
import { projectOf } from '../guests/config.ts'
import { type Consoles, type Guest, type GuestLocation, shownName } from '../guests/guest.ts'
import { createReach, type Reach } from '../guests/reach.ts'
import type { Roster } from '../guests/roster.ts'
import type { ConsoleOptions, SourceConsole } from '../source.ts'
import { hostOf, type LibvirtSourceConfig } from './config.ts'
import { domainState } from './domain-states.ts'
import { type DomainXml, readDomainXml } from './domain-xml.ts'
import {
  domainXml,
  domainXmlWithSecrets,
  type LifecycleEvent,
  type ListedDomain,
  type ListedState,
  listDomains,
  listenForEvents,
  listStates,
  NoSuchDomain,
  type VirshOptions,
} from './virsh.ts'

export interface ConnectionOptions {
  readonly uri: string
  readonly config: LibvirtSourceConfig
  readonly roster: Roster
  readonly log: Logger
  /** Default: `virsh`. */
  readonly program?: string
}

/** Events that void tokens at once, without waiting for the next poll. */
const ENDING = new Set(['Stopped', 'Shutdown', 'Crashed', 'Undefined'])
/** The largest number of concurrent calls of virsh for domain XML. */
const MAX_CALLS = 4

interface Domain {
  readonly listed: ListedDomain
  readonly createdAt: number
  readonly changedAt: number
  readonly meaning: ReturnType<typeof domainState>
  /** The consoles of the run with the same `runId`. `undefined`: its XML could not be read yet. */
  readonly consoles: Consoles | undefined
}

/** The length at which an unknown line is cut in the log. */
const MAX_SHOWN_CHARACTERS = 200

/** Logs each problem of a domain once. */
class Complaints {
  readonly #reasons = new Map<string, string>()

  isNew(about: string, reason: string): boolean {
    const before = this.#reasons.get(about)
    this.#reasons.set(about, reason)
    return before !== reason
  }

  settle(about: string): void {
    this.#reasons.delete(about)
  }

  /** Forgets domains that no longer exist. */
  keep(uuids: ReadonlySet<string>): void {
    for (const about of this.#reasons.keys()) if (about !== 'list' && !uuids.has(about)) this.#reasons.delete(about)
  }
}

export class Connection implements AsyncDisposable {
  readonly #options: ConnectionOptions
  readonly #virsh: VirshOptions
  readonly #reach: Reach
  readonly #end = new AbortController()
  readonly #domains = new Map<string, Domain>()
  readonly #complaints = new Complaints()
  /** Domains without a state at the last poll. */
  readonly #stateless = new Set<string>()
  #looking: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #failure: Error | undefined
  #unansweredSince: number | undefined
  readonly #timer: NodeJS.Timeout
  readonly #listening: Promise<void>

  constructor(options: ConnectionOptions) {
    const { uri, config, program } = options
    this.#options = options
    this.#virsh = { uri, timeoutMs: config.answer_timeout_ms, ...(program !== undefined && { program }) }
    this.#reach = createReach(hostOf(uri, config), config)
    this.#timer = setInterval(() => void this.look(), config.poll_seconds * 1000)
    this.#listening = this.#listen()
  }

  /** The error of the last poll. Absent if libvirt responded. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Polls all domains, after a poll in progress. Does not reject: see `failure`. */
  look(): Promise<void> {
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined
      this.#looking = this.#look()
      return this.#looking
    })
    return this.#next
  }

  /** Whether a location of the roster belongs to this connection. */
  owns(location: GuestLocation): boolean {
    return location.startsWith(`${this.#options.uri} `)
  }

  /**
   * Returns a console from the domain's current XML, with its password if that is asked for and `passwords` is set.
   * @throws SourceError, or SourceUnavailable when libvirt does not respond
   */
  async console(id: string, protocol: Protocol, options: ConsoleOptions = {}): Promise<SourceConsole> {
    const secrets = protocol === 'vnc' && options.withPassword === true && this.#options.config.passwords
    const xml = await this.#askForConsole(id, secrets ? domainXmlWithSecrets : domainXml, options.signal)
    const known = this.#domains.get(id)
    if (known && xml.running) this.#put({ ...known, consoles: xml.consoles })
    else void this.look()
    const address = xml.running ? xml.consoles[protocol] : undefined
    if (address) return { ...address, ...(xml.vncPassword && { password: xml.vncPassword }) }
    const why = xml.running ? (xml.unreachable[protocol] ?? 'the domain has none') : 'the domain is not running'
    this.#options.log.warn({ serverId: id, protocol, why }, 'console is not available')
    throw new SourceError('ConsoleTypeUnavailable')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#end.abort()
    await Promise.all([this.#listening, this.#next, this.#looking])
  }

  /** A fault in a domain's XML affects only that domain: it has no console, while libvirt itself is healthy. */
  async #askForConsole(id: string, fetchXml: typeof domainXml, signal?: AbortSignal): Promise<DomainXml> {
    try {
      return await this.#ask(id, fetchXml, signal)
    } catch (cause) {
      if (cause instanceof SourceError || cause instanceof SourceUnavailable || signal?.aborted) throw cause
      this.#complain(id, this.#domains.get(id)?.listed.name, cause)
      throw new SourceError('ConsoleTypeUnavailable', 'the domain XML is unusable', { cause })
    }
  }

  async #ask(id: string, fetchXml = domainXml, signal: AbortSignal = this.#end.signal): Promise<DomainXml> {
    try {
      const xml = readDomainXml(await fetchXml(this.#virsh, id, signal), this.#reach)
      if (xml.uuid === id) return xml
    } catch (cause) {
      if (!(cause instanceof NoSuchDomain)) throw cause
    }
    void this.look()
    throw new SourceError('InstanceNotFound')
  }

  async #look(): Promise<void> {
    const { signal } = this.#end
    if (signal.aborted) return
    try {
      const { domains, oddLines } = await listDomains(this.#virsh, signal)
      await this.#take(domains, await listStates(this.#virsh, signal))
      this.#complainOfLines(oddLines)
      this.#answers()
    } catch (error) {
      if (!signal.aborted) this.#isSilent(error as Error)
    }
  }

  async #take(listed: readonly ListedDomain[], states: ReadonlyMap<string, ListedState>): Promise<void> {
    const there = new Set(listed.map(({ uuid }) => uuid))
    this.#complaints.keep(there)
    for (const uuid of this.#stateless) if (!there.has(uuid)) this.#stateless.delete(uuid)
    for (const uuid of this.#domains.keys()) if (!there.has(uuid)) this.#forget(uuid)
    const rest = listed.values()
    const worker = async () => {
      for (const domain of rest) await this.#follow(domain, states.get(domain.name))
    }
    await Promise.all(Array.from({ length: MAX_CALLS }, worker))
  }

  async #follow(listed: ListedDomain, state: ListedState | undefined): Promise<void> {
    if (!state) return this.#noState(listed)
    this.#stateless.delete(listed.uuid)
    const before = this.#domains.get(listed.uuid)
    const meaning = domainState(state.state, state.reason)
    const sameRun = before !== undefined && before.listed.runId === listed.runId
    const same = sameRun && before.meaning.reason === meaning.reason
    const now = Date.now()
    const read = same && before.consoles ? before.consoles : await this.#consolesOf(listed, meaning.live)
    if (this.#end.signal.aborted) return
    const { createdAt = now } = before ?? {}
    const consoles = read ?? (sameRun ? before.consoles : undefined)
    this.#put({ listed, meaning, consoles, createdAt, changedAt: same ? before.changedAt : now })
    if (!same) this.#logChange(listed, before ? 'domain changed its state' : 'domain found', meaning.reason)
  }

  /**
   * The consoles of a running domain; `undefined` if its XML cannot be fetched or read. Such a failure affects only this
   * domain: `virsh list` has shown that libvirt answers, and a hung QEMU may block the XML of its own domain.
   */
  async #consolesOf({ uuid, name }: ListedDomain, live: boolean): Promise<Consoles | undefined> {
    if (!live) return {}
    try {
      const xml = await this.#ask(uuid)
      this.#complaints.settle(uuid)
      return xml.running ? xml.consoles : {}
    } catch (cause) {
      if (cause instanceof SourceError) return {}
      this.#complain(uuid, name, cause)
      return undefined
    }
  }

  /** Tolerates domains that appear or vanish between the two calls: an event or the next look catches up. */
  #noState({ uuid, name }: ListedDomain): void {
    const again = this.#stateless.has(uuid)
    this.#stateless.add(uuid)
    if (!again || !this.#complaints.isNew(uuid, 'no state')) return
    this.#options.log.warn({ serverId: uuid, server: name }, 'virsh domstats omits a domain, ignoring the domain')
  }

  #complain(uuid: string, name: string | undefined, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : 'unknown'
    if (this.#end.signal.aborted || !this.#complaints.isNew(uuid, reason)) return
    this.#options.log.warn(
      { serverId: uuid, server: name, reason },
      'domain XML is unusable, the domain has no console',
    )
  }

  #complainOfLines(lines: readonly string[]): void {
    const [line] = lines
    if (line === undefined || !this.#complaints.isNew('list', line)) return
    const shown = line.slice(0, MAX_SHOWN_CHARACTERS)
    this.#options.log.warn({ line: shown, lines: lines.length }, 'cannot parse some lines of virsh list')
  }

  #put(domain: Domain): void {
    this.#domains.set(domain.listed.uuid, domain)
    this.#options.roster.set(this.#locationOf(domain.listed.uuid), this.#guest(domain))
  }

  #forget(uuid: string): void {
    this.#options.log.info({ serverId: uuid, server: this.#domains.get(uuid)?.listed.name }, 'domain gone')
    this.#domains.delete(uuid)
    this.#options.roster.set(this.#locationOf(uuid), undefined)
  }

  #guest({ listed, meaning, consoles, createdAt, changedAt }: Domain): Guest {
    const name = shownName(listed.name, listed.uuid)
    return {
      server: {
        id: listed.uuid,
        name,
        projectId: projectOf(name, this.#options.config),
        vmState: meaning.vmState,
        taskState: meaning.taskState,
        host: this.#reach.host,
        createdAt,
        updatedAt: changedAt,
        ...(this.#unansweredSince !== undefined && { unansweredSince: this.#unansweredSince }),
      },
      live: meaning.live,
      consoles: consoles ?? {},
      ...(listed.runId !== undefined && { run: listed.runId }),
      // During a migration, the side that does not run the guest is not in charge.
      ...(((meaning.live && meaning.taskState === 'migrating') || meaning.hasLeft) && { standIn: true }),
    }
  }

  readonly #locationOf = (uuid: string): GuestLocation => `${this.#options.uri} ${uuid}`

  #answers(): void {
    if (this.#failure) this.#options.log.info('libvirt answers again')
    this.#failure = undefined
    this.#mark(undefined)
  }

  /** Keeps the last known state of the domains, and marks its age. */
  #isSilent(error: Error): void {
    if (this.#failure?.message !== error.message) {
      this.#options.log.warn({ reason: error.message }, 'libvirt does not answer, showing its last known state')
    }
    this.#failure = error
    this.#mark(this.#unansweredSince ?? Date.now())
  }

  #mark(unansweredSince: number | undefined): void {
    if (this.#unansweredSince === unansweredSince) return
    this.#unansweredSince = unansweredSince
    for (const domain of this.#domains.values()) this.#put(domain)
  }

  /** Restarts `virsh event` whenever it ends, which it does when the daemon stops. */
  async #listen(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      const reason = await listenForEvents(this.#virsh, (event) => this.#onEvent(event), signal)
      if (signal.aborted) return
      this.#options.log.debug({ reason }, 'virsh event has ended, restarting it')
      await this.#pause()
      void this.look()
    }
  }

  /** Waits for one poll interval, so that an unavailable daemon is not tried more often. */
  #pause(): Promise<void> {
    const { signal } = this.#end
    return sleep(this.#options.config.poll_seconds * 1000, undefined, { signal }).catch(() => {})
  }

  #onEvent({ domain: name, event }: LifecycleEvent): void {
    for (const { listed, meaning } of this.#domains.values()) {
      if (listed.name === name && meaning.live && ENDING.has(event))
        this.#options.roster.stopped(this.#locationOf(listed.uuid))
    }
    void this.look()
  }

  #logChange({ uuid, name }: ListedDomain, message: string, reason: string): void {
    this.#options.log.info({ serverId: uuid, server: name, reason }, message)
  }
}
