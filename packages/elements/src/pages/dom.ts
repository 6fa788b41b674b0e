/** Finding what the page's HTML holds. */

/** The element with this id. The page's HTML and script belong together, so a missing one is a fault of the build. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`The page has no ${type.name} with the id ${id}.`)
  return element
}

/** Sets text only where it changed: a live region speaks every change. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
