/** The panel of the session: what it shows, since when, over which connection, and a button that ends it. */
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/panels.ts'
import { byId, onClick, setText } from './dom.ts'

/** A fact about the session, and its name. */
export type Fact = readonly [name: string, value: string]

/** The session as the page knows it. */
export interface SessionView {
  readonly state: string
  /** When the console was connected last. */
  readonly connectedAt: Date | undefined
  /** The facts that only this kind of console has. */
  readonly facts: readonly Fact[]
}

const refreshMs = 1_000

/** Shows the session in its panel, which is opening, and offers *Leave*. */
export function showSession(screen: ConsoleElement<ConsoleSession>, view: () => SessionView): void {
  const panel = byId('session-panel', HTMLElement)
  const show = () => showFacts(factsOf(screen, view()))
  let refreshing: ReturnType<typeof setInterval> | undefined
  const follow = (open: boolean) => {
    clearInterval(refreshing)
    if (!open) return
    show()
    refreshing = setInterval(show, refreshMs)
  }
  panel.addEventListener('toggle', (event) => follow(event.newState === 'open'))
  onClick('session-leave', () => {
    panel.hidePopover()
    screen.disconnect()
  })
  follow(panel.matches(':popover-open'))
}

function factsOf(screen: ConsoleElement<ConsoleSession>, { state, connectedAt, facts }: SessionView): Fact[] {
  const isConnected = screen.state === 'connected'
  byId('session-leave', HTMLButtonElement).disabled = screen.state === 'ended' || screen.state === 'idle'
  return [
    [t('session.state'), state],
    ...(isConnected && connectedAt !== undefined
      ? [[t('session.connected-for'), durationText(Date.now() - connectedAt.getTime())] as const]
      : []),
    ...(isConnected ? facts : []),
    [t('session.connection'), t(location.protocol === 'https:' ? 'session.encrypted' : 'session.plain')],
  ]
}

/** Leaves equal lines in place, so that a selected text stays selected. */
function showFacts(facts: readonly Fact[]): void {
  const list = byId('session-facts', HTMLElement)
  const lines = facts.flatMap(([name, value]) => [line('dt', name), line('dd', value)])
  const isSame = list.children.length === lines.length
  if (!isSame) list.replaceChildren(...lines)
  else
    lines.forEach(({ textContent }, i) => {
      setText(list.children[i] as HTMLElement, textContent)
    })
}

function line(tag: 'dt' | 'dd', text: string): HTMLElement {
  const element = document.createElement(tag)
  element.textContent = text
  return element
}

/** Formats a time for people: `42 s`, `5 min`, `2 h 5 min`. */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 60) return t('session.seconds', { seconds })
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return t('session.minutes', { minutes })
  return t('session.hours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 })
}
