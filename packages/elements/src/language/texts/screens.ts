/** The English texts of consoles that show a picture. */
import { translator } from '../translate.ts'

export const screenTexts = {
  'error.no-picture': 'The console shows no picture.',
  'error.serial-picture': 'A serial console has no picture. Read its text.',
  'error.spice-text': 'The text of a SPICE console cannot be read. Take a screenshot.',
  'error.lost-while-typing': 'The console was lost while typing.',
  'screen-of': 'Screen of {name}. Ctrl+Alt+Shift leaves it.',
  screen: 'Screen of the machine. Ctrl+Alt+Shift leaves it.',
} as const

export const t = translator(screenTexts)
