/** The people button of a console page, its panel, and the notice of a request for control. */
import type { PresenceState } from '@oriel/contract'
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/people.ts'
import { byId, onClick, setText } from './dom.ts'
import { offerInvitations } from './invitations.ts'
import { controlText, factsText, namesOf, type Person, peopleOf } from './people-texts.ts'

type Console = ConsoleElement<ConsoleSession>

/** Shows who has the console open, if its proxy says so, and lets the user request, give and take control. */
export function offerPeople(screen: Console): void {
  const notice = createNotice(screen)
  const showInvitations = offerInvitations(screen)
  const show = () => {
    const { presence } = screen
    byId('people-button', HTMLButtonElement).hidden = presence === undefined
    if (presence === undefined) byId('people-panel', HTMLElement).hidePopover()
    else {
      showPanel(screen, presence)
      showInvitations(presence)
    }
    // The open panel covers the notice.
    note(notice.show(presence))
  }
  screen.addEventListener('presence', show)
  screen.addEventListener('presencerefused', (event) => note((event as CustomEvent<{ text: string }>).detail.text))
  onClick('control-take', () => screen.takeControl())
  onClick('control-request', () => screen.requestControl())
  onClick('control-withdraw', () => screen.withdrawRequest())
  onClick('control-release', () => screen.releaseControl())
  show()
}

const note = (text: string) => setText(byId('people-note', HTMLElement), text)

function showPanel(screen: Console, state: PresenceState): void {
  const people = peopleOf(state)
  const count = people.length
  setText(byId('people-count', HTMLElement), String(count))
  byId('people-button', HTMLButtonElement).setAttribute('aria-label', t('people.count', { count }))
  setText(byId('people-control', HTMLElement), controlText(state))
  setText(byId('people-facts', HTMLElement), factsText(state))
  showList(byId('people-list', HTMLUListElement), people, (id) => screen.giveControl(id))
  showActions(state, screen.hasControl)
}

function showActions({ you, participants, control }: PresenceState, hasControl: boolean): void {
  const requests = control.requested_by.includes(you)
  const holds = control.held_by === you
  show('control-take', control.may_take && (participants.length > 1 || !hasControl))
  show('control-request', !hasControl && !control.may_take && !requests)
  show('control-withdraw', requests)
  show('control-release', holds)
}

function show(id: string, shown: boolean): void {
  byId(id, HTMLButtonElement).hidden = !shown
}

/** Keeps the existing items, so that the focus stays where it is. */
function showList(list: HTMLUListElement, people: readonly Person[], give: (id: string) => void): void {
  const items = new Map([...list.children].map((item) => [(item as HTMLElement).dataset.id, item as HTMLLIElement]))
  const kept = people.map((person) => {
    const item = items.get(person.id) ?? createItem(person.id, give)
    showPerson(item, person)
    return item
  })
  for (const item of list.children) if (!kept.includes(item as HTMLLIElement)) item.remove()
  for (const [i, item] of kept.entries())
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null)
}

function createItem(id: string, give: (id: string) => void): HTMLLIElement {
  const item = document.createElement('li')
  item.dataset.id = id
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = t('people.give')
  button.addEventListener('click', () => give(id))
  const who = document.createElement('p')
  who.append(span('person-name'), ' ', span('person-state'))
  const detail = document.createElement('p')
  detail.className = 'person-detail'
  item.append(who, detail, button)
  return item
}

function span(className: string): HTMLSpanElement {
  const created = document.createElement('span')
  created.className = className
  return created
}

function showPerson(item: HTMLLIElement, { name, detail, hasControl, requests, canReceive }: Person): void {
  setText(item.querySelector<HTMLElement>('.person-name')!, name)
  setText(
    item.querySelector<HTMLElement>('.person-state')!,
    requests ? t('people.requests') : hasControl ? t('people.in-control') : '',
  )
  setText(item.querySelector<HTMLElement>('.person-detail')!, detail)
  item.dataset.control = String(hasControl)
  const button = item.querySelector('button')!
  button.hidden = !canReceive
  button.setAttribute('aria-label', t('people.give-to', { name }))
}

/** The notice that another participant requests control, which covers a console in full screen too. */
function createNotice(screen: Console) {
  const element = byId('control-notice', HTMLElement)
  const dismissed = new Set<string>()
  let asking: string | undefined
  /** Returns the text of the notice. */
  const display = (state: PresenceState | undefined): string => {
    const requests = state === undefined || !screen.hasControl ? [] : state.control.requested_by
    for (const id of dismissed) if (!requests.includes(id)) dismissed.delete(id)
    asking = requests.find((id) => !dismissed.has(id) && id !== state?.you)
    const name = asking === undefined || state === undefined ? undefined : namesOf(state).get(asking)
    const text = name === undefined ? '' : t('people.request', { name })
    setText(byId('control-notice-text', HTMLElement), text)
    const hadFocus = element.contains(document.activeElement)
    element.togglePopover(name !== undefined)
    // Not the screen: a key that was meant for the notice would reach the machine.
    if (hadFocus && name === undefined) byId('people-button', HTMLButtonElement).focus()
    return text
  }
  onClick('control-notice-give', () => {
    if (asking !== undefined) screen.giveControl(asking)
  })
  onClick('control-notice-dismiss', () => {
    if (asking !== undefined) dismissed.add(asking)
    display(screen.presence)
    screen.focus()
  })
  return { show: display }
}
