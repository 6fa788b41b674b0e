/** Reads the query parameters of a console page: noVNC's, as Nova, Horizon and operators write them. */

import type { Scale } from '../oriel-vnc.ts'
import { plainLine } from '../plain-line.ts'

export interface PageQuery {
  /** The machine's name; empty if the address has none. */
  readonly name: string
  /** The machine's id, which Horizon appends to the name in parentheses; empty if absent. */
  readonly detail: string
  readonly viewOnly: boolean
  readonly scale: Scale
  readonly reconnect: boolean
}

/**
 * Reads the page's own URL. Defaults: fit to the window, reconnect, keyboard and mouse on.
 * @see https://github.com/novnc/noVNC/blob/master/docs/EMBEDDING.md for the parameters' names
 */
export function readPageQuery(url: string): PageQuery {
  const query = new URL(url).searchParams
  return {
    ...nameAndDetail(plainLine(query.get('title') ?? '')),
    viewOnly: flag(query.get('view_only'), false),
    scale: scales.get(query.get('resize')) ?? 'fit',
    reconnect: flag(query.get('reconnect'), true),
  }
}

const scales: ReadonlyMap<string | null, Scale> = new Map([
  ['remote', 'remote'],
  ['off', 'none'],
])

function flag(value: string | null, byDefault: boolean): boolean {
  if (value === null || value === '') return byDefault
  return !['0', 'false', 'no', 'off'].includes(value.toLowerCase())
}

// Horizon's title is `name(uuid)`.
function nameAndDetail(title: string): { name: string; detail: string } {
  const match = /^(.+?)\s*\(([0-9a-f-]{32,36})\)$/i.exec(title)
  return { name: match?.[1] ?? title, detail: match?.[2] ?? '' }
}
