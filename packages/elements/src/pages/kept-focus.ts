/** Keeps the place of the keyboard in the page. */

/** The elements that Tab reaches, and those that only a script focuses; but not the hidden field of the soft keyboard. */
const focusable = 'button,summary,a[href],input,select,textarea:not([tabindex]),[tabindex]:not(textarea)'

/**
 * Moves the focus on when the focused element is removed, hidden or disabled. The browser would leave it nowhere, so that Tab would
 * begin at the top of the page. The focus goes to the closest element around that is still there, or to the first one in it that takes
 * it; to `fallback` if only the page is around it.
 */
export function keepFocus(fallback: () => HTMLElement): void {
  let place: readonly HTMLElement[] = withParents(document.activeElement as HTMLElement | null)
  const check = (records: readonly MutationRecord[] = []) => {
    const [focused, ...around] = place
    const { activeElement } = document
    const isElsewhere = activeElement !== null && activeElement !== document.body && activeElement !== focused
    if (focused === undefined || isElsewhere || !document.hasFocus()) return
    // A list that is put in order takes its items out for a moment.
    const wasMoved = () => records.some(({ removedNodes }) => [...removedNodes].some((node) => node.contains(focused)))
    if (isUsable(focused)) return wasMoved() ? focused.focus() : undefined
    const next = nextPlace(around, isUsable, (element) => [...element.querySelectorAll<HTMLElement>(focusable)])
    ;(next ?? fallback()).focus()
  }
  document.addEventListener('focusin', ({ target }) => {
    place = withParents(target as HTMLElement)
  })
  // A click on an empty place takes the focus away on purpose.
  document.addEventListener(
    'pointerdown',
    () => {
      place = []
    },
    { capture: true },
  )
  document.addEventListener('toggle', () => check(), { capture: true })
  const observed = { attributeFilter: ['disabled', 'hidden'], childList: true, subtree: true }
  new MutationObserver(check).observe(document.body, observed)
}

/** Returns where the focus goes from an element with these parents, the closest one first; `undefined`: none but the page has a place. */
export function nextPlace<T extends { readonly localName: string }>(
  parents: readonly T[],
  isUsable: (element: T) => boolean,
  inside: (element: T) => readonly T[],
): T | undefined {
  for (const parent of parents) {
    if (parent.localName === 'body') return undefined
    const next = [parent, ...inside(parent)].find(isUsable)
    if (next !== undefined) return next
  }
  return undefined
}

const isUsable = (element: HTMLElement) =>
  element.matches(`:is(${focusable},oriel-vnc,oriel-serial,oriel-spice,:focus):not(:disabled)`) &&
  element.checkVisibility()

function withParents(element: HTMLElement | null): HTMLElement[] {
  const parents: HTMLElement[] = []
  for (let each = element; each !== null; each = each.parentElement) parents.push(each)
  return parents
}
