/** The characters that a guest with the kernel's keymaps is to receive from a keyboard layout. */
import type { Layout } from '@oriel/console'

/** The characters of the keys, and those of the dead keys that the kernel composes in any keymap. */
export function charactersOf({ keys, dead }: Layout): string {
  const composed = dead.flatMap(({ pairs }) => [...pairs].filter((_, i) => i % 2 === 1))
  return [...new Set([...keys.flatMap(([, row]) => [...row]), ...composed.filter(isKernels)])].join('')
}

/** Letters of Latin-1 with grave, acute, circumflex, tilde, diaeresis or cedilla, and these accents in ASCII. */
const isKernels = (character: string) =>
  character <= '\u00ff' && /^(?:[\x21-\x7e]|[A-Za-z][\u0300-\u0303\u0308\u0327])$/.test(character.normalize('NFD'))
