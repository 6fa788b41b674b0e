/** The elements of the people panel's part for invitations. Not in the pages' HTML, since most pages never show them. */
import { t } from '../language/texts/people.ts'

/** Returns the hidden part. Only its first step is shown in it. */
export function invitationsPart(): HTMLElement {
  const list = create('ul', { className: 'people', id: 'invitations-list' })
  list.setAttribute('aria-labelledby', 'invitations-title')
  const note = create('p', { className: 'note', id: 'invite-note' })
  note.setAttribute('role', 'status')
  const heading = create('h3', { id: 'invitations-title', hidden: true }, t('invite.title'))
  const limit = create('p', { className: 'note', id: 'invite-limit', hidden: true })
  const steps = [button('invite-open', t('invite.open')), formStep(), linkStep()]
  return create('div', { className: 'invite', id: 'invite', hidden: true }, heading, list, ...steps, limit, note)
}

function formStep(): HTMLFormElement {
  const name = create('input', { id: 'invite-label', maxLength: 64, autocomplete: 'off', spellcheck: false })
  const form = create(
    'form',
    { className: 'invite-step', id: 'invite-form', hidden: true },
    create('label', { className: 'field' }, `${t('invite.name')} `, name),
    create(
      'fieldset',
      { className: 'choices' },
      create('legend', {}, t('invite.may')),
      choice('invite-watch', t('invite.watch'), true),
      choice('invite-control', t('invite.control'), false),
    ),
    create(
      'label',
      { className: 'field', id: 'invite-lifetime' },
      `${t('invite.lifetime')} `,
      create('select', { id: 'invite-ttl' }),
    ),
    row(submitButton('invite-create', t('invite.create')), button('invite-cancel', t('invite.cancel'))),
  )
  form.setAttribute('aria-label', t('invite.form'))
  return form
}

function linkStep(): HTMLElement {
  const url = create('input', { id: 'invite-url', readOnly: true })
  return create(
    'div',
    { className: 'invite-step', id: 'invite-link', hidden: true },
    create('label', { className: 'field' }, `${t('invite.link')} `, url),
    row(primary(button('invite-copy', t('invite.copy'))), button('invite-done', t('invite.done'))),
  )
}

function choice(id: string, text: string, defaultChecked: boolean): HTMLLabelElement {
  const input = create('input', { type: 'radio', name: 'invite-role', id, defaultChecked })
  return create('label', { className: 'check' }, input, ` ${text}`)
}

const row = (...buttons: HTMLButtonElement[]) => create('div', { className: 'row' }, ...buttons)
const button = (id: string, text: string) => create('button', { type: 'button', id }, text)
const submitButton = (id: string, text: string) => primary(create('button', { type: 'submit', id }, text))

function primary(shown: HTMLButtonElement): HTMLButtonElement {
  shown.classList.add('primary')
  return shown
}

function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const created = Object.assign(document.createElement(tag), properties)
  created.append(...children)
  return created
}
