/** The list of machines. A refresh keeps the existing rows, so that focus and messages stay where they are. */
import { type ConsoleRole, consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import { t } from '../language/texts/list.ts'
import { consoleName } from './console-names.ts'
import { byId, setText } from './dom.ts'
import { type LoadScreen, Screens } from './screens.ts'
import type { ServerPage, ServerRow, SessionRow } from './server-page.ts'
import { type ConsoleOwner, consolesOf, troubleLine } from './servers.ts'
import { createSessionList, type SessionList } from './session-list.ts'
import { reasonOf, statusWord, toneOf } from './status-words.ts'

export interface ServerList {
  readonly size: number
  /** @param withScreens whether the rows have slots for pictures, which {@link startScreens} loads */
  show(page: Pick<ServerPage, 'servers' | 'may'>, withScreens: boolean): void
  /** Shows who is connected. */
  showSessions(sessions: readonly SessionRow[], mayEnd: boolean): void
  /** Loads the pictures of the rows in view, and of others once they are. */
  startScreens(): void
  /** Loads the pictures again. */
  refreshScreens(): void
}

/** What the buttons of the list do. */
export interface ServerActions {
  /** Creates a console and returns the URL of its page. */
  readonly mint: (server: ConsoleOwner, type: OpenableConsoleType, role: ConsoleRole) => Promise<string>
  readonly endSession: (id: string) => Promise<void>
  readonly loadScreen: LoadScreen
}

/** A machine's row, and what it shows. */
interface Row {
  readonly item: HTMLElement
  readonly sessions: SessionList
  readonly buttons: Map<OpenableConsoleType, HTMLButtonElement>
  /** The role with which its buttons open consoles. */
  role: ConsoleRole
  server: ServerRow
}

/** Fills `list` with machines, each with buttons for those of its consoles that this proxy serves: `served`. */
export function createServerList(
  list: HTMLUListElement,
  served: readonly OpenableConsoleType[],
  actions: ServerActions,
): ServerList {
  const shown = new Map<string, Row>()
  const screens = new Screens(actions.loadScreen)
  list.addEventListener('keydown', (event) => moveFocus(list, event))
  return {
    get size() {
      return shown.size
    },
    show({ servers, may }, withScreens) {
      list.classList.toggle('with-screens', withScreens)
      const kept = new Set(servers.map(({ id }) => id))
      for (const [id, { item }] of shown) if (!kept.has(id)) forget(id, item)
      for (const [i, server] of servers.entries()) {
        const { item } = placeRow(i, server, may.open)
        if (withScreens) screens.show(part(item, '.screen'), server)
        else screens.hide(part(item, '.screen'))
      }
    },
    showSessions(sessions, mayEnd) {
      const byServer = Map.groupBy(sessions, ({ server_id }) => server_id)
      for (const [id, row] of shown) row.sessions.show(byServer.get(id) ?? [], mayEnd)
    },
    startScreens: () => screens.start(),
    refreshScreens: () => screens.refresh(),
  }

  function forget(id: string, item: HTMLElement): void {
    screens.hide(part(item, '.screen'))
    shown.delete(id)
    item.remove()
  }

  function placeRow(i: number, server: ServerRow, roles: readonly ConsoleRole[]): Row {
    const row = shown.get(server.id) ?? createRow(server, actions)
    shown.set(server.id, row)
    row.server = server
    fill(row, roles, served, actions)
    if (list.children[i] !== row.item) list.insertBefore(row.item, list.children[i] ?? null)
    return row
  }
}

function createRow(server: ServerRow, { endSession }: ServerActions): Row {
  const content = byId('server', HTMLTemplateElement).content.cloneNode(true) as DocumentFragment
  const item = content.querySelector('li')!
  setText(part(item, '.id'), server.id)
  part(item, '.reason').id = `reason-${server.id}`
  const end = async (id: string, ended: string) => {
    hideMessage(item)
    return endSession(id).then(
      () => showEnded(item, ended),
      (error: unknown) => showFailure(item, error),
    )
  }
  const details = part(item, '.sessions') as HTMLDetailsElement
  const sessions = createSessionList(details, { name: nameOf(server), end })
  return { item, sessions, buttons: new Map(), role: 'control', server }
}

const nameOf = ({ name, id }: ConsoleOwner) => name || id

function fill(
  row: Row,
  roles: readonly ConsoleRole[],
  served: readonly OpenableConsoleType[],
  actions: ServerActions,
): void {
  const { item, server } = row
  setText(part(item, '.name'), nameOf(server))
  setText(part(item, '.state-text'), statusWord(server.status))
  part(item, '.state').dataset.tone = toneOf(server.status)
  setText(part(item, '.reason'), reasonOf(server))
  row.role = roles.includes('control') ? 'control' : 'watch'
  const types = roles.length === 0 ? [] : consolesOf(server, served, row.role)
  placeButtons(row, types, actions)
  part(item, '.no-console').hidden = types.length > 0 || roles.length === 0
}

function placeButtons(row: Row, types: readonly OpenableConsoleType[], actions: ServerActions): void {
  const box = part(row.item, '.consoles')
  for (const [type, button] of row.buttons) {
    if (types.includes(type)) continue
    row.buttons.delete(type)
    button.remove()
  }
  for (const [i, type] of types.entries()) {
    const button = row.buttons.get(type) ?? createButton(row, type, actions)
    row.buttons.set(type, button)
    label(button, row, type)
    button.className = i === 0 ? 'primary' : ''
    if (box.children[i] !== button) box.insertBefore(button, box.children[i] ?? null)
  }
}

function createButton(row: Row, type: OpenableConsoleType, { mint }: ServerActions): HTMLButtonElement {
  const button = document.createElement('button')
  button.type = 'button'
  button.setAttribute('aria-describedby', part(row.item, '.reason').id)
  button.addEventListener('click', () => {
    if (row.server.unavailable === null) void open(row.item, button, () => mint(row.server, type, row.role), type)
  })
  return button
}

function label(button: HTMLButtonElement, { server, role }: Row, type: OpenableConsoleType): void {
  const name = role === 'watch' ? t('list.watch', { console: consoleName(type, 'inside') }) : consoleName(type)
  setText(button, name)
  button.setAttribute('aria-label', t('list.console-of', { console: name, name: nameOf(server) }))
  // Not `disabled`: the keyboard must still reach the button, whose description says why it does nothing.
  button.setAttribute('aria-disabled', String(server.unavailable !== null))
}

async function open(
  item: HTMLElement,
  button: HTMLButtonElement,
  mint: () => Promise<string>,
  type: OpenableConsoleType,
) {
  if (button.ariaBusy === 'true') return
  hideMessage(item)
  // Disabling the button would take its focus.
  button.ariaBusy = 'true'
  // Open the tab before awaiting anything: after the click has been handled, the browser blocks it as a pop-up.
  const tab = consoleTypes[type].page === null ? null : window.open('', '_blank')
  try {
    go(tab, await mint())
  } catch (error) {
    tab?.close()
    showFailure(item, error)
  } finally {
    button.ariaBusy = 'false'
  }
}

// Without a tab, navigate this page: for a viewer file, which is downloaded, the browser stays on it.
function go(tab: Window | null, page: string): void {
  if (tab !== null) tab.opener = null
  if (tab === null) location.assign(page)
  else tab.location.replace(page)
}

/** Says to screen readers that a session was ended. Others see it go from the list. */
function showEnded(item: HTMLElement, text: string): true {
  part(item, '.message').classList.add('hidden-label')
  setText(part(item, '.message'), text)
  return true
}

/** Shows why the last action at a machine failed. */
function showFailure(item: HTMLElement, error: unknown): false {
  part(item, '.message').classList.remove('hidden-label')
  setText(part(item, '.message'), troubleLine(error))
  return false
}

function hideMessage(item: HTMLElement): void {
  setText(part(item, '.message'), '')
}

/** Moves the focus between the console buttons by the arrow keys, and to the first and the last machine by Home and End. */
function moveFocus(list: HTMLElement, event: KeyboardEvent): void {
  const button = event.target as HTMLElement
  const box = button.closest('.consoles')
  if (box === null) return
  const column = [...box.children].indexOf(button)
  const next = nextButton([...list.querySelectorAll('.consoles:not(:empty)')], box, column, event.key)
  if (next === undefined) return
  event.preventDefault()
  next.focus()
}

function nextButton(boxes: readonly Element[], box: Element, column: number, key: string): HTMLElement | undefined {
  const row = boxes.indexOf(box)
  const at = (r: number, c: number) => {
    const buttons = boxes[r]?.children
    return buttons?.[Math.min(c, buttons.length - 1)] as HTMLElement | undefined
  }
  if (key === 'ArrowDown') return at(row + 1, column)
  if (key === 'ArrowUp') return at(row - 1, column)
  if (key === 'Home') return at(0, column)
  if (key === 'End') return at(boxes.length - 1, column)
  if (key === 'ArrowRight') return at(row, column + 1)
  if (key === 'ArrowLeft') return at(row, Math.max(column - 1, 0))
  return undefined
}

function part(item: HTMLElement, selector: string): HTMLElement {
  const found = item.querySelector<HTMLElement>(selector)
  if (found === null) throw new Error(`The row has no ${selector}.`)
  return found
}
