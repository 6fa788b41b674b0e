/** The error for text that a layout cannot type. */
import { OrielError } from '@oriel/sdk'
import { chordsOf } from './chords.ts'
import type { Layout } from './layout.ts'

export interface UntypableCharacter {
  readonly character: string
  /** As Unicode writes it: `U+00E9`. */
  readonly codePoint: string
  /** The names of the layouts, among those looked at, that can type it. */
  readonly layouts: readonly string[]
}

/** At most so many layouts are in the message for a character. */
const SHOWN_LAYOUTS = 5

/** Thrown before the first key of a text goes out, if the layout cannot type all of it. */
export class UntypableError extends OrielError {
  override readonly name: string = 'UntypableError'

  /** The names of the layouts that were to type the text. */
  readonly layouts: readonly string[]
  /** Each character once, in the order of the text. */
  readonly characters: readonly UntypableCharacter[]

  constructor(layouts: readonly string[], characters: readonly UntypableCharacter[]) {
    super(
      `The keyboard layout ${layouts.join(' with ')} cannot type ${characters.map(describe).join('; ')}. ` +
        'Use a layout that can, if the guest has it, or another text.',
    )
    this.layouts = layouts
    this.characters = characters
  }
}

/** Returns the characters of the error, with the layouts among `candidates` that can type each. */
export function untypable(characters: Iterable<string>, candidates: readonly Layout[]): UntypableCharacter[] {
  return [...new Set(characters)].map((character) => ({
    character,
    codePoint: `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`,
    layouts: candidates.filter((layout) => chordsOf(layout).has(character)).map(({ name }) => name),
  }))
}

function describe({ character, codePoint, layouts }: UntypableCharacter): string {
  const shown = layouts.slice(0, SHOWN_LAYOUTS).join(', ') + (layouts.length > SHOWN_LAYOUTS ? ', …' : '')
  // Control and combining characters would disturb the line that they are printed in.
  const visible = /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? `"${character}" (${codePoint})` : codePoint
  return shown ? `${visible}, which ${shown} can` : visible
}
