/** Creates the consoles of the checks, and counts them. */
import { consoleTypes, type OpenableConsoleType, tokenOf } from '@oriel/contract'
import {
  BadRequest,
  type Client,
  Conflict,
  consolePage,
  type FaultError,
  Forbidden,
  NotFound,
  NotImplemented,
  type OrielError,
  ServerFault,
  VersionError,
} from '@oriel/sdk'
import type { Server } from '../../cloud/servers.ts'
import { echoed } from '../../output.ts'
import { duration } from '../clock.ts'
import type { Examination, Passed } from '../examination.ts'
import { NotApplicable, Problem } from '../problem.ts'
import type { CloudFacts } from './settings.ts'

/** The label of the sessions, in the list of sessions and in the audit trail. */
export const LABEL = 'oriel doctor'

/** A created console. */
export interface Created {
  /** The access URL. */
  readonly url: string
  /** Where a browser opens it. */
  readonly pageUrl: string
  readonly expiresAt: Date | undefined
}

/** Creates consoles of one server. */
export class ConsoleCreator {
  readonly #client: Client
  readonly #server: Server
  readonly #facts: CloudFacts
  readonly #exam: Pick<Examination, 'signal' | 'hide'>
  /** How many consoles were created. */
  count = 0

  constructor(client: Client, server: Server, facts: CloudFacts, exam: Pick<Examination, 'signal' | 'hide'>) {
    this.#client = client
    this.#server = server
    this.#facts = facts
    this.#exam = exam
  }

  /** Creates a console: with Oriel's API one that only watches, with a label for the audit trail. @throws OrielError */
  async create(type: OpenableConsoleType): Promise<Created> {
    const created = (await this.#watching(type)) ?? (await this.#usual(type))
    this.count += 1
    const token = tokenOf(created.url)
    if (token) this.#exam.hide(token)
    return created
  }

  async #usual(type: OpenableConsoleType): Promise<Created> {
    const { url, pageUrl, expiresAt } = await this.#client.createConsole(this.#server.id, type, {
      signal: this.#exam.signal,
    })
    return { url, pageUrl, expiresAt }
  }

  /** Returns `undefined` if the API or the caller's role has no such console. */
  async #watching(type: OpenableConsoleType): Promise<Created | undefined> {
    if (!this.#facts.isOriel) return undefined
    const role = consoleTypes[type].watchable ? 'watch' : 'control'
    const input = { server_id: this.#server.id, body: { type, role, label: LABEL } as const }
    try {
      const { console } = await this.#client.oriel.createConsole(input, { signal: this.#exam.signal })
      const { url, expires_at } = console
      return { url, pageUrl: consolePage(url, type) ?? url, expiresAt: new Date(expires_at) }
    } catch (error) {
      if (error instanceof Forbidden || error instanceof NotFound) return undefined
      throw error
    }
  }

  /**
   * Creates the first console of a type.
   * @param isWanted whether the person asked for this type, so that a missing one is a fault
   * @throws Problem, or NotApplicable if the server has no console of this type
   */
  async check(type: OpenableConsoleType, isWanted: boolean): Promise<Passed<Created>> {
    try {
      const created = await this.create(type)
      const { expiresAt } = created
      const life =
        expiresAt === undefined ? '' : `, whose URL is valid for ${duration(expiresAt.getTime() - Date.now())}`
      return { value: withToken(created, this.#facts), detail: `created a console${life}` }
    } catch (error) {
      throw this.#explained(error as OrielError, type, isWanted)
    }
  }

  #explained(error: OrielError, type: OpenableConsoleType, isWanted: boolean): Error {
    const name = echoed(this.#server.name)
    if (error instanceof BadRequest || error instanceof NotImplemented || error instanceof VersionError) {
      const lacking = `${name} has no console of type ${type}: ${error.message.replace(/\.$/, '')}`
      return isWanted ? new Problem(lacking, this.#enabling(type)) : new NotApplicable(lacking)
    }
    if (error instanceof Conflict) {
      const remedy = `Start the server, such as with \`openstack server start ${this.#server.id}\`.`
      return new Problem(`${name} is ${this.#server.status} and has no console now`, { side: 'client', remedy })
    }
    if (error instanceof Forbidden) return this.#forbidden(error)
    return error instanceof ServerFault ? this.#failing(error) : error
  }

  #enabling(type: OpenableConsoleType) {
    if (this.#facts.isOriel) {
      const remedy = `Set consoles.${type}.enabled = true, and give the server a console of this protocol in its source.`
      return { side: 'oriel-api', remedy } as const
    }
    const { protocol } = consoleTypes[type]
    return {
      side: 'Nova',
      remedy: `Enable ${protocol} in nova.conf of the compute node, and restart nova-compute.`,
    } as const
  }

  #forbidden({ message }: Forbidden): Problem {
    const rule = 'os_compute_api:os-remote-consoles'
    const [side, where] = this.#facts.isOriel
      ? (['oriel-api', '[policy]'] as const)
      : (['Nova', 'policy.yaml'] as const)
    const remedy = `Give your role the rule ${rule} in ${where}, or sign in as a user who has it.`
    return new Problem(`you may not create consoles: ${message}`, { side, remedy })
  }

  #failing(error: FaultError): Problem {
    const { status, requestId } = error
    const [side, log] = this.#facts.isOriel
      ? (['oriel-api', 'oriel-api'] as const)
      : (['Nova', 'nova-api and of nova-compute'] as const)
    const at = requestId === undefined ? '' : ` at ${requestId}`
    const remedy = `Read the log of ${log}${at}.`
    return new Problem(`creating a console fails with ${status}: ${error.message}`, { side, remedy }, { cause: error })
  }
}

function withToken(created: Created, { isOriel }: CloudFacts): Created {
  if (tokenOf(created.url)) return created
  const remedy = 'Remove the gateway that changes answers of the API.'
  throw new Problem('the access URL has no token', { side: isOriel ? 'oriel-api' : 'Nova', remedy })
}
