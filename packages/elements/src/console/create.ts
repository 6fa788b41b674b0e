/**
 * Creates the element for a kind of console. Not for the pages of the proxy: this leads to spice-html5, which their bundle must
 * not contain.
 */
import type { ConsoleKind } from './kind.ts'
import type { Shown } from './shown.ts'

/** Loads the element of `kind` and creates it. Rejects if its script cannot be loaded. */
export async function createShown(kind: ConsoleKind): Promise<Shown> {
  if (kind === 'vnc') await import('../vnc.ts')
  else if (kind === 'serial') await import('../serial.ts')
  else await import('../spice.ts')
  return { kind, element: document.createElement(`oriel-${kind}`) } as Shown
}
