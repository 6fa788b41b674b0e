/** The English texts about typing at a machine. */
import { translator } from '../translate.ts'

export const typingTexts = {
  'typing.caps-lock': 'Caps Lock is on in the machine and does not turn off. Turn it off there, and type again.',
  'typing.stalled': 'The machine takes no keys.',
  'typing.done': 'Typed.',
  'typing.done-without': 'Typed, without {characters}',
  'typing.stopped': 'Stopped.',
  'typing.lacks': 'Nothing was typed: {layout} has no {characters}.',
  'typing.layouts': {
    one: 'These layouts have it: {layouts}.',
    other: 'These layouts have them: {layouts}.',
  },
  'typing.layout-with': '{layout} with {other}',
  'typing.layout-label': 'Keyboard layout of the machine',
  'typing.text-label': 'Text to type',
  'typing.type': 'Type it',
  'typing.stop': 'Stop',
} as const

export const t = translator(typingTexts)
