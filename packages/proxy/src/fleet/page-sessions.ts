/** The pages' sessions of all workers, which the primary knows: a page's request may reach another worker than its session. */
import type { OpenPages, PageSession, PageSessions } from '../session/page-sessions.ts'
import type { Calls } from './calls.ts'
import { isPageSession, type PrimaryAnswers } from './contract.ts'

/** Creates the pages' sessions of a worker. */
export function remotePageSessions(calls: Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>): PageSessions {
  const remove = (page: unknown) => void calls.ask('removePage', page as number).catch(() => {})
  return {
    add: async (keyDigest, session) => {
      const page = await calls.askFor(remove, 'addPage', keyDigest, session)
      return { [Symbol.dispose]: () => remove(page) }
    },
    find: async (keyDigest) => {
      const found = await calls.ask('findPage', keyDigest)
      if (found !== null && !isPageSession(found)) throw new Error('the primary returned a malformed page session')
      return found ?? undefined
    },
  }
}

/** The primary's answers to one worker. Disposal removes the worker's pages. */
export class PagesOfWorker implements Disposable {
  readonly answers: Pick<PrimaryAnswers, 'addPage' | 'removePage' | 'findPage'>
  readonly #added = new Map<number, Disposable>()
  #last = 0

  /** @param pages the pages' sessions of all workers */
  constructor(pages: OpenPages) {
    this.answers = {
      addPage: (keyDigest, session) => this.#add(pages, keyDigest, session),
      removePage: (page) => this.#remove(page),
      findPage: (keyDigest) => pages.find(keyDigest) ?? null,
    }
  }

  #add(pages: OpenPages, keyDigest: string, session: PageSession): number {
    if (typeof keyDigest !== 'string' || !isPageSession(session)) throw new Error('the page session is malformed')
    this.#last += 1
    this.#added.set(this.#last, pages.add(keyDigest, session))
    return this.#last
  }

  #remove(page: number): void {
    this.#added.get(page)?.[Symbol.dispose]()
    this.#added.delete(page)
  }

  [Symbol.dispose](): void {
    for (const page of this.#added.values()) page[Symbol.dispose]()
    this.#added.clear()
  }
}
