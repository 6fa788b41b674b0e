/** Arrow keys in the bar: Tab reaches one tool, as in every toolbar (WAI-ARIA Authoring Practices, toolbar pattern). */

/** Lets the arrow keys, Home and End move between the elements in `toolbar` that match `tool`. Panels between them keep their keys. */
export function offerArrowKeys(toolbar: HTMLElement, tool = '.tool'): void {
  let current: HTMLElement | undefined
  const follow = () => {
    const tools = usableTools(toolbar, tool)
    if (current === undefined || !tools.includes(current)) current = tools[0]
    for (const each of toolbar.querySelectorAll<HTMLElement>(tool)) each.tabIndex = each === current ? 0 : -1
  }
  toolbar.addEventListener('focusin', ({ target }) => {
    current = (target as HTMLElement).closest<HTMLElement>(tool) ?? current
    follow()
  })
  toolbar.addEventListener('keydown', (event) => {
    const tools = usableTools(toolbar, tool)
    const at = tools.indexOf(event.target as HTMLElement)
    const next = at < 0 ? undefined : tools[neighbour(event.key, at, tools.length)]
    if (next === undefined) return
    event.preventDefault()
    next.focus()
  })
  new MutationObserver(follow).observe(toolbar, { attributeFilter: ['disabled', 'hidden'], subtree: true })
  follow()
}

const usableTools = (toolbar: HTMLElement, tool: string) => [
  ...toolbar.querySelectorAll<HTMLElement>(`${tool}:not(:disabled):not([hidden])`),
]

/** Returns the index of the tool to which `key` leads from that at `index`, of `count`; -1 for every other key. */
export function neighbour(key: string, index: number, count: number): number {
  if (key === 'ArrowRight') return (index + 1) % count
  if (key === 'ArrowLeft') return (index - 1 + count) % count
  if (key === 'Home') return 0
  return key === 'End' ? count - 1 : -1
}
