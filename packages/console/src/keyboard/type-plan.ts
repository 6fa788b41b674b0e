/** Plans a text by the names of layouts. */

import { layoutNames, loadLayout } from './load-layout.ts'
import type { KeyStroke } from './stroke.ts'
import { type CharacterPlan, planCharacters, type TextOptions } from './text.ts'
import { UntypableError, untypable } from './untypable.ts'

export interface TypingLayouts extends Pick<TextOptions, 'missing'> {
  /** See {@link layoutNames}. Default: `us`. */
  readonly layout?: string
  /** A second layout of the guest, for characters that the first lacks, as `us` beside `ru`. */
  readonly alternate?: string
  /** The keys that switch between the two. Default: `Alt+Shift`. */
  readonly toggle?: string
}

/**
 * Loads the layouts and returns the keys that type `text`, see {@link planText}.
 * @throws UntypableError if they lack characters; it names the layouts that have them
 * @throws TypeError if there is no layout of a name
 */
export async function planTyping(text: string, names: TypingLayouts = {}): Promise<KeyStroke[]> {
  return (await planTypedCharacters(text, names)).strokes
}

/** As {@link planTyping}. */
export async function planTypedCharacters(text: string, names: TypingLayouts = {}): Promise<CharacterPlan> {
  const { layout = 'us', alternate, toggle, missing } = names
  const options = {
    layout: await loadLayout(layout),
    ...(alternate !== undefined && { alternate: await loadLayout(alternate) }),
    ...(toggle !== undefined && { toggle }),
    ...(missing !== undefined && { missing }),
  }
  try {
    return planCharacters(text, options)
  } catch (error) {
    if (!(error instanceof UntypableError)) throw error
    const all = await Promise.all(layoutNames.map(loadLayout))
    throw new UntypableError(
      error.layouts,
      untypable(
        error.characters.map(({ character }) => character),
        all,
      ),
    )
  }
}
