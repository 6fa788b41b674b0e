/** The English texts of the paste panel. */
import { translator } from '../translate.ts'

export const pasteTexts = {
  'paste.hint': 'Ctrl+Shift+V pastes straight into the terminal. Here you can look at the text before it is sent.',
  'paste.lines': {
    one: 'The machine gets {count} line, and may run it.',
    other: 'The machine gets {count} lines, and may run each of them.',
  },
  'paste.removed': 'Control characters are taken out: {names}.',
  'paste.busy': 'Pasting…',
  'paste.done': 'Pasted.',
  'paste.stopped': 'Stopped.',
} as const

export const t = translator(pasteTexts)
