/** The home page of a proxy: lists the machines, with buttons that open their consoles. */
import { t } from '../language/texts/list.ts'
import { byId, onClick, onSubmit, setText } from './dom.ts'
import { keepFocus } from './kept-focus.ts'
import { type ListQuery, type ListState, PAGE_SIZE, pagesOf, readListState, withListState } from './list-query.ts'
import { startLanguage, withLanguage } from './page-language.ts'
import { createServerList } from './server-list.ts'
import type { ServerPage } from './server-page.ts'
import { type Servers, serversAt, type Trouble, troubleOf } from './servers.ts'
import { readSettings, type Settings } from './settings.ts'
import { statusWord } from './status-words.ts'

const refreshEveryMs = 10_000
/** How long to wait for the next key before searching. */
const typingMs = 200

/** The parts of the page, of which one is shown at a time. `trouble` may be shown above an older list. */
type View = 'servers' | 'empty' | 'no-match' | 'sign-in' | 'proxy-only' | 'none'

await startLanguage()
keepFocus(() => document.querySelector<HTMLElement>('main :is(input, button)')!)
await start()

async function start(): Promise<void> {
  try {
    const settings = await readSettings()
    if (settings.apiUrl === null) show('proxy-only', '')
    else listServers(settings.apiUrl, settings)
  } catch {
    onClick('retry', () => location.reload())
    show('none', '')
    showTrouble({ text: t('list.proxy-silent'), requestId: undefined })
  }
}

function listServers(apiUrl: string, { consoles }: Settings): void {
  let servers: Servers = serversAt(apiUrl, undefined)
  let signedIn = false
  let state = readListState(location.href)
  let running: AbortController | undefined
  let next: ReturnType<typeof setTimeout> | undefined
  let typing: ReturnType<typeof setTimeout> | undefined
  const list = createServerList(byId('servers', HTMLUListElement), consoles, {
    mint: async (server, type, role) => withLanguage(await servers.openConsole(server, type, role)),
    endSession: (id) => servers.endSession(id),
    loadScreen: (id, signal) => servers.screen(id, signal),
  })

  const refresh = async () => {
    clearTimeout(next)
    running?.abort()
    const mine = new AbortController()
    running = mine
    try {
      const page = await servers.list(state, mine.signal)
      if (mine !== running) return
      if (state.page > pagesOf(page.total)) return go({ ...state, page: pagesOf(page.total) })
      showPage(page)
      const sessions = page.may.list_sessions ? await servers.sessions(mine.signal) : []
      if (mine !== running) return
      list.showSessions(sessions, page.may.end_sessions)
      // Only now: while a picture is taken, its session is in the list of sessions, and would be shown until the next refresh.
      list.startScreens()
      hideTrouble()
    } catch (error) {
      if (mine !== running) return
      fail(troubleOf(error))
    }
    byId('main', HTMLElement).ariaBusy = 'false'
    if (byId('sign-in', HTMLFormElement).hidden) next = setTimeout(refreshIfSeen, refreshEveryMs)
  }
  const refreshIfSeen = () => {
    if (document.visibilityState === 'visible') void refresh()
  }
  const showPage = (page: ServerPage) => {
    const mayShowScreens = page.may.show_screenshots === true
    byId('screens-choice', HTMLElement).hidden = !mayShowScreens
    list.show(page, mayShowScreens && state.screens)
    showStatuses(page, state)
    showPager(page.total, state)
    setText(byId('no-match-text', HTMLElement), noMatchText(state))
    if (page.total > 0) show('servers', leadOf(page, state))
    else if (state.search.trim() === '' && state.status === '') show('empty', '')
    else show('no-match', leadOf(page, state))
  }
  const fail = (trouble: Trouble) => {
    if (trouble.signIn) return askForToken(signedIn ? trouble.text : '')
    if (list.size === 0) show('none', '')
    showTrouble(trouble)
  }
  const askForToken = (note: string) => {
    setText(byId('sign-in-note', HTMLElement), note)
    hideTrouble()
    show('sign-in', '')
    byId('token', HTMLInputElement).focus()
  }
  const use = (token: string | undefined) => {
    signedIn = token !== undefined
    servers = serversAt(apiUrl, token)
    byId('sign-out', HTMLButtonElement).hidden = !signedIn
    list.show({ servers: [], may: { open: [], list_sessions: false, end_sessions: false } }, false)
    return refresh()
  }
  const go = (wanted: ListState, isNewEntry = false): Promise<void> => {
    const isTurn = wanted.page !== state.page && wanted.search === state.search && wanted.status === state.status
    state = wanted
    const address = withListState(location.href, state)
    if (address !== location.href) history[isNewEntry ? 'pushState' : 'replaceState'](history.state, '', address)
    byId('main', HTMLElement).ariaBusy = 'true'
    // The line with the number of machines announces a search.
    byId('range', HTMLElement).ariaLive = isTurn ? 'polite' : 'off'
    return refresh()
  }
  const turn = async (pages: number) => {
    await go({ ...state, page: state.page + pages }, true)
    byId('lead', HTMLElement).scrollIntoView({ block: 'center' })
  }

  const search = byId('search', HTMLInputElement)
  const status = byId('status', HTMLSelectElement)
  const screens = byId('screens', HTMLInputElement)
  const searchNow = () => {
    clearTimeout(typing)
    void go({ ...state, search: search.value, status: status.value, page: 1 })
  }
  search.value = state.search
  screens.checked = state.screens
  search.addEventListener('input', () => {
    clearTimeout(typing)
    typing = setTimeout(searchNow, typingMs)
  })
  search.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowDown') document.querySelector<HTMLElement>('.consoles button')?.focus()
  })
  onSubmit('filter', searchNow)
  status.addEventListener('change', searchNow)
  screens.addEventListener('change', () => void go({ ...state, screens: screens.checked }))
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return
    event.preventDefault()
    search.select()
  })
  addEventListener('popstate', () => {
    const wanted = readListState(location.href)
    search.value = wanted.search
    screens.checked = wanted.screens
    void go(wanted)
  })
  onClick('previous', () => void turn(-1))
  onClick('next', () => void turn(1))
  onClick('show-all', () => {
    search.value = ''
    void go({ ...state, search: '', status: '', page: 1 })
    search.focus()
  })
  onSubmit('sign-in', () => {
    const field = byId('token', HTMLInputElement)
    void use(field.value.trim())
    field.value = ''
  })
  onClick('sign-out', () => void use(undefined))
  onClick('refresh', () => void refresh().then(() => list.refreshScreens()))
  onClick('retry', () => void refresh())
  document.addEventListener('visibilitychange', () => {
    if (byId('sign-in', HTMLFormElement).hidden) refreshIfSeen()
  })
  void refresh()
}

const isField = (target: EventTarget | null) =>
  (target instanceof HTMLInputElement && target.type !== 'checkbox') ||
  target instanceof HTMLSelectElement ||
  target instanceof HTMLTextAreaElement

function show(view: View, lead: string): void {
  for (const id of ['servers', 'empty', 'no-match', 'sign-in', 'proxy-only']) byId(id, HTMLElement).hidden = id !== view
  byId('filter', HTMLElement).hidden = view !== 'servers' && view !== 'no-match'
  byId('pager', HTMLElement).hidden ||= view !== 'servers'
  byId('actions', HTMLElement).hidden = !['servers', 'empty', 'no-match'].includes(view)
  byId('main', HTMLElement).ariaBusy = 'false'
  setText(byId('lead', HTMLElement), lead)
}

/** Such as `300 machines`, or `12 machines match`. */
function leadOf({ total, may }: ServerPage, { search, status }: ListQuery): string {
  const isAll = search.trim() === '' && status === ''
  const count = t(isAll ? 'list.machines' : 'list.matches', { count: total })
  return may.open.length > 0 ? count : t('list.may-not-open', { count })
}

function noMatchText({ search, status }: ListQuery): string {
  const text = search.trim()
  const word = statusWord(status)
  if (status === '') return text === '' ? t('list.none') : t('list.none-named', { search: text })
  return text === ''
    ? t('list.none-status', { status: word })
    : t('list.none-named-status', { search: text, status: word })
}

/** Offers the statuses that machines have, and the chosen one. */
function showStatuses({ statuses }: ServerPage, { status }: ListQuery): void {
  const select = byId('status', HTMLSelectElement)
  const all = statuses.reduce((sum, { servers }) => sum + servers, 0)
  const options =
    statuses.some((each) => each.status === status) || status === '' ? statuses : [...statuses, { status, servers: 0 }]
  const wanted = [
    { value: '', text: t('list.all-statuses', { count: all }) },
    ...options.map((each) => ({
      value: each.status,
      text: t('list.status', { status: statusWord(each.status), count: each.servers }),
    })),
  ]
  for (const [i, { value, text }] of wanted.entries()) {
    const option = select.options[i] ?? select.appendChild(document.createElement('option'))
    option.value = value
    setText(option, text)
  }
  select.length = wanted.length
  select.value = status
}

function showPager(total: number, { page }: ListQuery): void {
  const first = (page - 1) * PAGE_SIZE + 1
  byId('pager', HTMLElement).hidden = pagesOf(total) === 1
  setText(byId('range', HTMLElement), t('list.range', { first, last: Math.min(first + PAGE_SIZE - 1, total), total }))
  byId('previous', HTMLButtonElement).disabled = page === 1
  byId('next', HTMLButtonElement).disabled = page === pagesOf(total)
}

function showTrouble({ text, requestId }: Omit<Trouble, 'signIn'>): void {
  setText(byId('trouble-text', HTMLElement), text)
  setText(byId('trouble-id', HTMLElement), requestId ?? '')
  byId('trouble-request', HTMLElement).hidden = requestId === undefined
  byId('trouble', HTMLElement).hidden = false
}

function hideTrouble(): void {
  byId('trouble', HTMLElement).hidden = true
}
