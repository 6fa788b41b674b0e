/** Drives a page by the keyboard alone. */
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { announced, focusedNode, type SpokenNode } from './accessibility-tree.ts'

/** More than any page has between two of its places. */
const MOST_TABS = 40

/** Presses keys one after the other. */
export async function press(page: Page, ...keys: string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key)
}

/** Presses Tab, or `key`, until the focused node matches, and returns it. Fails with the nodes on the way. */
export async function moveTo(page: Page, pattern: RegExp, key = 'Tab'): Promise<SpokenNode> {
  const passed: SpokenNode[] = []
  while (passed.length < MOST_TABS) {
    const node = await focusedNode(page)
    if (pattern.test(node)) return node
    passed.push(node)
    await page.keyboard.press(key)
  }
  throw new Error(`${key} never reached ${pattern}, but ${passed.join(', ')}`)
}

/** Resolves once the focused node matches. */
export const untilFocused = (page: Page, pattern: RegExp) =>
  expect.poll(() => focusedNode(page), QUICK).toMatch(pattern)

/** Leaves the screen by the chord that the page names. */
export async function leaveScreen(page: Page): Promise<void> {
  for (const key of ['Control', 'Alt', 'Shift']) await page.keyboard.down(key)
  for (const key of ['Shift', 'Alt', 'Control']) await page.keyboard.up(key)
}

/**
 * Resolves once the announcements since the last call match the patterns, one each and in this order. Others in between, or a
 * repetition, fail.
 */
export async function untilAnnounced(page: Page, ...patterns: RegExp[]): Promise<void> {
  const texts: string[] = []
  const matches = async () => {
    texts.push(...(await announced(page)))
    return texts
  }
  await expect.poll(matches, QUICK).toEqual(patterns.map((pattern) => expect.stringMatching(pattern)))
}

const QUICK = { timeout: 10_000, interval: 30 }
