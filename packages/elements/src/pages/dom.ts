/** Finds and updates the elements of the page. */

/** Returns the element with this id. Throws if the page has none: then its HTML and script do not belong together. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`The page has no ${type.name} with the id ${id}.`)
  return element
}

/** Sets the text only if it differs: a screen reader announces every assignment in a live region. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

export function onClick(id: string, listener: () => void): void {
  byId(id, HTMLButtonElement).addEventListener('click', listener)
}

export function onSubmit(id: string, listener: () => void): void {
  byId(id, HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    listener()
  })
}
