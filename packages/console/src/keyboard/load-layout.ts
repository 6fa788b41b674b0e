/** Loads keyboard layouts, which are modules of their own so that a program has only those it uses. */
import { closest } from 'fastest-levenshtein'
import type { Layout } from './layout.ts'
import { layoutLabels, layouts } from './layouts/index.ts'

/** The name of a keyboard layout. */
export type LayoutName = keyof typeof layouts

/** The names of all layouts. Those with `loadkeys-` are keymaps of Debian's `console-data`, the others are xkb's. */
export const layoutNames = Object.keys(layouts) as readonly LayoutName[]

export { layoutLabels }

/**
 * Loads a layout.
 * @throws TypeError for an unknown name; the message has the nearest one
 */
export async function loadLayout(name: string): Promise<Layout> {
  if (!isLayoutName(name)) {
    throw new TypeError(`Unknown keyboard layout "${name}". Did you mean "${nearest(name)}"? See layoutNames.`)
  }
  return (await layouts[name]()).layout
}

/** Whether there is a layout of that name. */
export function isLayoutName(name: string): name is LayoutName {
  return Object.hasOwn(layouts, name)
}

const nearest = (name: string) =>
  layoutNames.find((known) => known === `loadkeys-${name}`) ?? closest(name, layoutNames as LayoutName[])
