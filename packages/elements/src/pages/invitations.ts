/** The part of the people panel in which the user invites somebody with a link, and revokes invitations. */
import type { ConsoleRole, PresenceState } from '@oriel/contract'
import { copyText } from '../clipboard.ts'
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/people.ts'
import { byId, onClick, onSubmit, setText } from './dom.ts'
import {
  type Lifetime,
  lifetimesOf,
  limitText,
  nextExpiryMs,
  type ShownInvitation,
  shownInvitations,
} from './invitation-texts.ts'
import { invitationsPart } from './invitations-part.ts'

type Console = ConsoleElement<ConsoleSession>

/** Returns a function that shows the invitations of a state. Shows nothing on a page that may not invite. */
export function offerInvitations(screen: Console): (state: PresenceState) => void {
  let expiry: ReturnType<typeof setTimeout> | undefined
  const show = ({ may_invite, invitations }: PresenceState) => {
    clearTimeout(expiry)
    byId('invite', HTMLElement).hidden = may_invite !== true
    if (may_invite !== true) return
    const shown = shownInvitations(invitations, Date.now())
    byId('invitations-title', HTMLElement).hidden = shown.length === 0
    showList(byId('invitations-list', HTMLUListElement), shown, (id) => void revoke(screen, id))
    showLimit(limitText(invitations))
    showLifetimes(byId('invite-ttl', HTMLSelectElement), lifetimesOf(invitations))
    const ms = nextExpiryMs(invitations, Date.now())
    if (ms !== undefined && ms <= maxTimerMs) expiry = setTimeout(() => screen.presence && show(screen.presence), ms)
  }
  byId('people-facts', HTMLElement).before(invitationsPart())
  onClick('invite-open', () => showStep('form'))
  onClick('invite-cancel', () => showStep('open'))
  onClick('invite-done', () => showStep('open'))
  onClick('invite-copy', () => void copyLink())
  onSubmit('invite-form', () => create(screen))
  return show
}

/** The longest time of a timer in browsers. */
const maxTimerMs = 2 ** 31 - 1

const note = (text: string) => setText(byId('invite-note', HTMLElement), text)

const steps = { open: 'invite-open', form: 'invite-form', link: 'invite-link' } as const
const focusOf = { open: 'invite-open', form: 'invite-label', link: 'invite-copy' } as const

/** Shows one step and moves the focus there. The link is removed from the page once it is not shown any more. */
function showStep(step: keyof typeof steps): void {
  for (const [name, id] of Object.entries(steps)) byId(id, HTMLElement).hidden = name !== step
  if (step !== 'link') byId('invite-url', HTMLInputElement).value = ''
  note('')
  const next = byId(focusOf[step], HTMLElement)
  // A disabled button takes no focus.
  if (next.matches(':disabled')) byId('people-panel', HTMLElement).focus()
  else next.focus()
}

async function create(screen: Console): Promise<void> {
  const button = byId('invite-create', HTMLButtonElement)
  if (button.ariaBusy === 'true') return
  // Disabling the button would take its focus.
  button.ariaBusy = 'true'
  note(t('invite.creating'))
  try {
    const { url } = await screen.invite(wanted())
    byId('invite-form', HTMLFormElement).reset()
    showStep('link')
    byId('invite-url', HTMLInputElement).value = url
  } catch (error) {
    note((error as Error).message)
  } finally {
    button.ariaBusy = 'false'
  }
}

function wanted() {
  const role: ConsoleRole = byId('invite-control', HTMLInputElement).checked ? 'control' : 'watch'
  const ttl = byId('invite-ttl', HTMLSelectElement).value
  const label = byId('invite-label', HTMLInputElement).value.trim()
  return { role, label, ttlSeconds: ttl === '' ? undefined : Number(ttl) }
}

async function copyLink(): Promise<void> {
  const field = byId('invite-url', HTMLInputElement)
  field.select()
  note((await copyText(field.value)) ? t('invite.copied') : t('invite.selected'))
}

async function revoke(screen: Console, id: string): Promise<void> {
  note('')
  try {
    await screen.revokeInvitation(id)
    note(t('invite.revoked'))
  } catch (error) {
    note((error as Error).message)
  }
}

function showLimit(text: string): void {
  byId('invite-open', HTMLButtonElement).disabled = text !== ''
  byId('invite-create', HTMLButtonElement).disabled = text !== ''
  byId('invite-limit', HTMLElement).hidden = text === ''
  setText(byId('invite-limit', HTMLElement), text)
}

/** Keeps the choice of the user. */
function showLifetimes(select: HTMLSelectElement, lifetimes: readonly Lifetime[]): void {
  const values = lifetimes.map(({ seconds }) => String(seconds))
  byId('invite-lifetime', HTMLElement).hidden = lifetimes.length === 0
  if ([...select.options].map(({ value }) => value).join() === values.join()) return
  select.replaceChildren(...lifetimes.map(({ seconds, text }) => new Option(text, String(seconds))))
}

/** Keeps the existing items, so that the focus stays where it is. */
function showList(list: HTMLUListElement, shown: readonly ShownInvitation[], revokeOne: (id: string) => void): void {
  const items = new Map([...list.children].map((item) => [(item as HTMLElement).dataset.id, item as HTMLLIElement]))
  const kept = shown.map((invitation) => {
    const item = items.get(invitation.id) ?? createItem(invitation.id, revokeOne)
    setText(item.querySelector<HTMLElement>('.person-name')!, invitation.name)
    setText(item.querySelector<HTMLElement>('.person-detail')!, invitation.detail)
    item.querySelector('button')!.setAttribute('aria-label', t('invite.revoke-of', { name: invitation.name }))
    return item
  })
  list.replaceChildren(...kept)
}

function createItem(id: string, revokeOne: (id: string) => void): HTMLLIElement {
  const item = document.createElement('li')
  item.dataset.id = id
  const who = document.createElement('p')
  const name = document.createElement('span')
  name.className = 'person-name'
  who.append(name)
  const detail = document.createElement('p')
  detail.className = 'person-detail'
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = t('invite.revoke')
  button.addEventListener('click', () => revokeOne(id))
  item.append(who, detail, button)
  return item
}
