/** The home page of a proxy: lists the machines, with buttons that open their consoles. */
import { byId, setText } from './dom.ts'
import { createServerList } from './server-list.ts'
import { type Servers, serversAt, type Trouble, troubleOf } from './servers.ts'
import { readSettings, type Settings } from './settings.ts'

const refreshEveryMs = 10_000

/** The parts of the page, of which one is shown at a time. `trouble` may be shown above an older list. */
type View = 'servers' | 'empty' | 'sign-in' | 'proxy-only' | 'none'

await start()

async function start(): Promise<void> {
  try {
    const settings = await readSettings()
    if (settings.apiUrl === null) show('proxy-only', '')
    else listServers(settings.apiUrl, settings)
  } catch {
    onClick('retry', () => location.reload())
    show('none', '')
    showTrouble({ text: 'The console proxy does not answer.', requestId: undefined })
  }
}

function listServers(apiUrl: string, { consoles }: Settings): void {
  let servers: Servers = serversAt(apiUrl, undefined)
  let signedIn = false
  let running: AbortController | undefined
  let next: ReturnType<typeof setTimeout> | undefined
  const list = createServerList(byId('servers', HTMLUListElement), consoles, (server, type) =>
    servers.openConsole(server, type),
  )

  const refresh = async () => {
    clearTimeout(next)
    running?.abort()
    const mine = new AbortController()
    running = mine
    try {
      const rows = await servers.list(mine.signal)
      if (mine !== running) return
      list.show(rows)
      hideTrouble()
      if (rows.length === 0) show('empty', '')
      else show('servers', rows.length === 1 ? '1 machine' : `${rows.length} machines`)
    } catch (error) {
      if (mine !== running) return
      fail(troubleOf(error))
    }
    if (byId('sign-in', HTMLFormElement).hidden) next = setTimeout(refreshIfSeen, refreshEveryMs)
  }
  const refreshIfSeen = () => {
    if (document.visibilityState === 'visible') void refresh()
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
    list.show([])
    return refresh()
  }

  byId('sign-in', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    const field = byId('token', HTMLInputElement)
    void use(field.value.trim())
    field.value = ''
  })
  onClick('sign-out', () => void use(undefined))
  onClick('refresh', () => void refresh())
  onClick('retry', () => void refresh())
  document.addEventListener('visibilitychange', () => {
    if (byId('sign-in', HTMLFormElement).hidden) refreshIfSeen()
  })
  void refresh()
}

function show(view: View, lead: string): void {
  for (const id of ['servers', 'empty', 'sign-in', 'proxy-only']) byId(id, HTMLElement).hidden = id !== view
  byId('actions', HTMLElement).hidden = !['servers', 'empty'].includes(view)
  byId('main', HTMLElement).ariaBusy = 'false'
  setText(byId('lead', HTMLElement), lead)
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

function onClick(id: string, listener: () => void): void {
  byId(id, HTMLButtonElement).addEventListener('click', listener)
}
