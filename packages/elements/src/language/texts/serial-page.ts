/** The English texts of the script of the serial page. */
import { translator } from '../translate.ts'

export const serialPageTexts = {
  'serial.silent': 'Connected. Nothing printed yet: press Enter.',
  'serial.size':
    'The terminal has {columns} columns and {rows} rows. A serial port does not report this to the machine. In a shell you can set it:',
  'session.terminal': 'Terminal',
  'session.terminal-size': '{columns} columns, {rows} rows',
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

export const t = translator(serialPageTexts)
