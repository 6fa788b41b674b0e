/** The open sessions of a machine in the list: who is connected, and *End* for those who may. */
import { t } from '../language/texts/list.ts'
import { consoleName } from './console-names.ts'
import { setText } from './dom.ts'
import type { SessionRow } from './server-page.ts'
import { timeOf } from './status-words.ts'

export interface SessionList {
  show(sessions: readonly SessionRow[], mayEnd: boolean): void
}

/** How long the question whether to end a session stays. */
const QUESTION_MS = 6000

/** What the list of a machine's sessions belongs to. */
export interface SessionListOwner {
  /** The machine's name. */
  readonly name: string
  /** Requests the end of a session. Says `ended` then, or returns `false` if that failed, which it has shown. */
  readonly end: (id: string, ended: string) => Promise<boolean>
}

/** Fills `details` with the sessions of a machine, and hides it while there are none. */
export function createSessionList(details: HTMLDetailsElement, owner: SessionListOwner): SessionList {
  const summary = document.createElement('summary')
  const list = document.createElement('ul')
  details.append(summary, list)
  const items = new Map<string, HTMLLIElement>()
  return {
    show(sessions, mayEnd) {
      const kept = new Set(sessions.map(({ id }) => id))
      for (const [id, item] of items) {
        if (kept.has(id)) continue
        items.delete(id)
        item.remove()
      }
      for (const [i, session] of sessions.entries()) {
        const item = items.get(session.id) ?? createItem(session, owner)
        items.set(session.id, item)
        item.querySelector('button')!.hidden = !mayEnd
        if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null)
      }
      setText(summary, t('list.sessions', { count: sessions.length }))
      details.hidden = sessions.length === 0
    },
  }
}

function createItem(session: SessionRow, { name, end }: SessionListOwner): HTMLLIElement {
  const item = document.createElement('li')
  const text = document.createElement('span')
  const button = document.createElement('button')
  text.textContent = sessionText(session)
  button.type = 'button'
  const label = (word: string) => {
    button.textContent = word
    button.setAttribute('aria-label', t('list.session-of', { action: word, person: personOf(session), name }))
  }
  label(t('list.end'))
  let timer: ReturnType<typeof setTimeout> | undefined
  const ask = () => {
    label(t('list.really-end'))
    button.classList.add('danger')
    timer = setTimeout(withdraw, QUESTION_MS)
  }
  const withdraw = () => {
    clearTimeout(timer)
    timer = undefined
    label(t('list.end'))
    button.classList.remove('danger')
  }
  const request = async () => {
    withdraw()
    // Disabling the button would take its focus.
    button.ariaBusy = 'true'
    label(t('list.ending'))
    if (await end(session.id, t('list.ended', { person: personOf(session) }))) return
    button.ariaBusy = 'false'
    label(t('list.end'))
  }
  button.addEventListener('click', () => {
    if (button.ariaBusy === 'true') return
    if (timer === undefined) ask()
    else void request()
  })
  item.append(text, button)
  return item
}

/** Such as `Bea · Screen, watches · since 10:12 · 198.51.100.7`. */
export function sessionText(session: SessionRow): string {
  const type = consoleName(session.type)
  const use = session.role === 'watch' ? t('list.watches', { console: type }) : type
  return [personOf(session), use, t('list.since', { time: timeOf(session.started_at) }), session.client_address].join(
    ' · ',
  )
}

const personOf = ({ label, user_id }: SessionRow) => label || user_id
