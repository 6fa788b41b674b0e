/** Reads what a screen reader gets of a page: the element with the focus, the accessibility tree, and what is announced. */
import type { BrowserContext, Page } from 'playwright-core'

/** A node such as `button "Keys…" pressed=false`. Only the states that it has are in it. */
export type SpokenNode = string

/** Returns the node that has the focus, from Chromium's accessibility tree. */
export async function focusedNode(page: Page): Promise<SpokenNode> {
  const nodes = await nodesOf(page)
  return spoken(nodes.filter((node) => stateOf(node, 'focused') === true).at(-1))
}

/** Returns all nodes that have a name, except for texts. */
export async function namedNodes(page: Page): Promise<SpokenNode[]> {
  const nodes = await nodesOf(page)
  return nodes.filter(({ ignored, name, role }) => !ignored && name?.value && !textRoles.has(role?.value)).map(spoken)
}

/** Records from now on what the live regions of the pages of `context` announce. Call it before the pages open. */
export async function recordAnnouncements(context: BrowserContext): Promise<void> {
  await context.addInitScript({ content: recorder })
}

/** Returns what was announced since the last call. Texts that Chromium draws in one frame are one announcement. */
export async function announced(page: Page): Promise<string[]> {
  return page.evaluate<string[]>('globalThis.announced?.splice(0) ?? []')
}

interface AxNode {
  readonly ignored: boolean
  readonly role?: { readonly value: string }
  readonly name?: { readonly value: string }
  readonly properties?: readonly { readonly name: string; readonly value: { readonly value?: unknown } }[]
}

async function nodesOf(page: Page): Promise<readonly AxNode[]> {
  const cdp = await page.context().newCDPSession(page)
  try {
    const { nodes } = await cdp.send('Accessibility.getFullAXTree')
    return nodes as readonly AxNode[]
  } finally {
    await cdp.detach()
  }
}

const textRoles: ReadonlySet<string | undefined> = new Set(['StaticText', 'InlineTextBox', 'RootWebArea'])
const states = ['pressed', 'expanded', 'checked', 'disabled', 'busy']

const stateOf = ({ properties = [] }: AxNode, name: string) =>
  properties.find((property) => property.name === name)?.value.value

function spoken(node: AxNode | undefined): SpokenNode {
  if (node === undefined) return 'nothing'
  const own = states.flatMap((name) => {
    const value = stateOf(node, name)
    return value === undefined || (name === 'busy' && !value) ? [] : [`${name}=${value}`]
  })
  return [node.role?.value, JSON.stringify(node.name?.value ?? ''), ...own].join(' ')
}

/**
 * Announces as screen readers do: the text of a live region when it changes, but not the text with which the region appears. An alert
 * is announced when it appears, too.
 */
const recorder = `
globalThis.announced = []
addEventListener('DOMContentLoaded', () => {
  let known = new Map()
  let waiting = false
  const observed = new WeakSet()
  const observer = new MutationObserver(() => later())
  const later = () => {
    if (waiting) return
    waiting = true
    requestAnimationFrame(check)
  }
  const regions = (root) => {
    if (!observed.has(root)) {
      observed.add(root)
      observer.observe(root, { attributes: true, characterData: true, childList: true, subtree: true })
    }
    return [...root.querySelectorAll('*')].flatMap((element) => [
      ...(element.matches('[role=status], [role=alert], [aria-live]') ? [element] : []),
      ...(element.shadowRoot ? regions(element.shadowRoot) : []),
    ])
  }
  const check = () => {
    waiting = false
    const now = new Map()
    for (const region of regions(document)) {
      if (!region.checkVisibility()) continue
      const text = region.innerText.replace(/\\s+/g, ' ').trim()
      const before = known.get(region) ?? (region.role === 'alert' ? '' : text)
      if (text !== '' && text !== before && region.ariaLive !== 'off') globalThis.announced.push(text)
      now.set(region, text)
    }
    known = now
  }
  document.addEventListener('toggle', later, true)
  check()
})`
