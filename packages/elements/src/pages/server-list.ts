/** The list of machines. A refresh keeps the existing rows, so that focus and messages stay where they are. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import { byId, setText } from './dom.ts'
import { type ConsoleOwner, type ServerRow, troubleOf } from './servers.ts'

export interface ServerList {
  readonly size: number
  show(rows: readonly ServerRow[]): void
}

type Mint = (server: ConsoleOwner, type: OpenableConsoleType) => Promise<string>

/**
 * Fills `list` with machines, each with a button for each of `types`. `mint` creates a console and returns the
 * page that a button opens.
 */
export function createServerList(
  list: HTMLUListElement,
  types: readonly OpenableConsoleType[],
  mint: Mint,
): ServerList {
  const shown = new Map<string, HTMLElement>()
  return {
    get size() {
      return shown.size
    },
    show(rows) {
      const kept = new Set(rows.map(({ id }) => id))
      for (const [id, item] of shown) if (!kept.has(id)) forget(id, item)
      for (const [i, row] of rows.entries()) placeRow(i, row)
    },
  }

  function forget(id: string, item: HTMLElement): void {
    shown.delete(id)
    item.remove()
  }

  function placeRow(i: number, row: ServerRow): void {
    const item = shown.get(row.id) ?? createItem(row, types, mint)
    shown.set(row.id, item)
    setText(part(item, '.name'), row.name || row.id)
    setText(part(item, '.state-text'), stateWord(row.status))
    part(item, '.state').dataset.tone = toneOf(row.status)
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null)
  }
}

function createItem({ id, name }: ServerRow, types: readonly OpenableConsoleType[], mint: Mint): HTMLElement {
  const content = byId('server', HTMLTemplateElement).content.cloneNode(true) as DocumentFragment
  const item = content.querySelector('li')!
  setText(part(item, '.id'), id)
  const buttons = types.map((type, i) => {
    const { label } = consoleTypes[type]
    const button = document.createElement('button')
    button.type = 'button'
    button.className = i === 0 ? 'primary' : ''
    button.textContent = label
    button.setAttribute('aria-label', `${label} of ${name || id}`)
    button.addEventListener('click', () => void open(item, button, () => mint({ id, name }, type), type))
    return button
  })
  part(item, '.consoles').append(...buttons)
  return item
}

async function open(
  item: HTMLElement,
  button: HTMLButtonElement,
  mint: () => Promise<string>,
  type: OpenableConsoleType,
) {
  const message = part(item, '.message')
  message.hidden = true
  button.disabled = true
  // Open the tab before awaiting anything: after the click has been handled, the browser blocks it as a pop-up.
  const tab = consoleTypes[type].page === null ? null : window.open('', '_blank')
  try {
    go(tab, await mint())
  } catch (error) {
    tab?.close()
    const { text, requestId } = troubleOf(error)
    setText(message, requestId === undefined ? text : `${text} (request ${requestId})`)
    message.hidden = false
  } finally {
    button.disabled = false
  }
}

// Without a tab, navigate this page: for a viewer file, which is downloaded, the browser stays on it.
function go(tab: Window | null, page: string): void {
  if (tab !== null) tab.opener = null
  if (tab === null) location.assign(page)
  else tab.location.replace(page)
}

function part(item: HTMLElement, selector: string): HTMLElement {
  const found = item.querySelector<HTMLElement>(selector)
  if (found === null) throw new Error(`The row has no ${selector}.`)
  return found
}

// `ACTIVE` as `Active`, `VERIFY_RESIZE` as `Verify resize`.
function stateWord(status: string): string {
  const words = status.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

type Tone = 'good' | 'busy' | 'still' | 'bad'

function toneOf(status: string): Tone {
  if (['ACTIVE', 'RESCUE'].includes(status)) return 'good'
  if (['SHUTOFF', 'PAUSED', 'SUSPENDED', 'SHELVED', 'SHELVED_OFFLOADED'].includes(status)) return 'still'
  return ['ERROR', 'DELETED', 'SOFT_DELETED'].includes(status) ? 'bad' : 'busy'
}
