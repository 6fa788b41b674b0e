/** What pages and `<oriel-console>` can do with the element that shows a console. */
import { t } from '../language/texts/screens.ts'
import type { OrielSerial } from '../oriel-serial.ts'
import type { OrielSpice } from '../oriel-spice.ts'
import type { OrielVnc } from '../oriel-vnc.ts'

/** The element that shows the console, by its kind. */
export type Shown =
  | { readonly kind: 'vnc'; readonly element: OrielVnc }
  | { readonly kind: 'serial'; readonly element: OrielSerial }
  | { readonly kind: 'spice'; readonly element: OrielSpice }

export interface TypingOptions {
  /** The keyboard layout of the machine, one of `layoutNames` of `@oriel/console`. Default: `us`. A serial port has none. */
  readonly layout?: string
  /** Stops typing: the rest is dropped. */
  readonly signal?: AbortSignal
}

/** Types `text`, without the characters that the layout lacks, which are returned. */
export async function typeInto(shown: Shown, text: string, options: TypingOptions): Promise<readonly string[]> {
  const typed =
    shown.kind === 'serial'
      ? shown.element.typeText(text, options)
      : shown.element.typeText(text, { ...options, untypable: 'skip' })
  return (await typed).skipped
}

/** @throws Error for a serial port, which has no picture, and when the console is not connected */
export async function pictureOf(shown: Shown, type: string): Promise<Blob> {
  if (shown.kind === 'serial') throw new Error(t('error.serial-picture'))
  return shown.element.screenshot(type)
}

/** @throws Error for SPICE, whose text cannot be read, and when the console is not connected */
export async function textOf(shown: Shown): Promise<string> {
  if (shown.kind === 'serial') return shown.element.output
  if (shown.kind === 'vnc') return shown.element.text()
  throw new Error(t('error.spice-text'))
}
