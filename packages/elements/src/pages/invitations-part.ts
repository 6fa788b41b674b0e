/** The elements of the people panel's part for invitations. Not in the pages' HTML, since most pages never show them. */

/** Returns the hidden part. Only its first step is shown in it. */
export function invitationsPart(): HTMLElement {
  const list = create('ul', { className: 'people', id: 'invitations-list' })
  list.setAttribute('aria-labelledby', 'invitations-title')
  const note = create('p', { className: 'note', id: 'invite-note' })
  note.setAttribute('role', 'status')
  const heading = create('h3', { id: 'invitations-title', hidden: true }, 'Invitations')
  const limit = create('p', { className: 'note', id: 'invite-limit', hidden: true })
  const steps = [button('invite-open', 'Invite…'), formStep(), linkStep()]
  return create('div', { className: 'invite', id: 'invite', hidden: true }, heading, list, ...steps, limit, note)
}

function formStep(): HTMLFormElement {
  const name = create('input', { id: 'invite-label', maxLength: 64, autocomplete: 'off', spellcheck: false })
  const form = create(
    'form',
    { className: 'invite-step', id: 'invite-form', hidden: true },
    create('label', { className: 'field' }, 'Name of the guest, which others see ', name),
    create(
      'fieldset',
      { className: 'choices' },
      create('legend', {}, 'The guest may'),
      choice('invite-watch', 'watch', true),
      choice('invite-control', 'control', false),
    ),
    create(
      'label',
      { className: 'field', id: 'invite-lifetime' },
      'The link can be opened for ',
      create('select', { id: 'invite-ttl' }),
    ),
    row(submitButton('invite-create', 'Create link'), button('invite-cancel', 'Cancel')),
  )
  form.setAttribute('aria-label', 'Invite somebody')
  return form
}

function linkStep(): HTMLElement {
  const url = create('input', { id: 'invite-url', readOnly: true })
  return create(
    'div',
    { className: 'invite-step', id: 'invite-link', hidden: true },
    create('label', { className: 'field' }, 'Link, shown only now. It opens the console once. ', url),
    row(primary(button('invite-copy', 'Copy')), button('invite-done', 'Done')),
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
