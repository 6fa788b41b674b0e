/** Copies text to the user's clipboard, also from pages without TLS. */

/**
 * Copies `text`. Call it from a listener of a click or a key. Browsers offer the asynchronous clipboard only to secure contexts; a
 * page at plain `http:` copies through a selected text field. Returns `false` if the browser allows neither.
 */
export async function copyText(text: string): Promise<boolean> {
  // Before anything else: the older way needs the user's gesture, which an `await` may use up.
  if (navigator.clipboard === undefined) return copySelected(text)
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copySelected(text)
  }
}

/** Selects `text` in a text field for the duration of a copy command, and gives the focus back. */
function copySelected(text: string): boolean {
  const focused = deepActiveElement()
  const field = document.createElement('textarea')
  field.value = text
  field.readOnly = true
  field.setAttribute('aria-hidden', 'true')
  Object.assign(field.style, { position: 'fixed', inset: '0 auto auto 0', opacity: '0' })
  // Inside an open popover: an element outside of it would close the popover by taking the focus.
  const place = document.activeElement?.closest('[popover]') ?? document.body
  place.append(field)
  field.select()
  try {
    return document.execCommand('copy')
  } finally {
    field.remove()
    focused?.focus({ preventScroll: true })
  }
}

/** Returns the focused element, also inside shadow roots. */
function deepActiveElement(): HTMLElement | undefined {
  let active = document.activeElement
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement
  return active instanceof HTMLElement ? active : undefined
}
