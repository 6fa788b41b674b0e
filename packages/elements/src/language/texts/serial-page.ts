/** The English texts of the script of the serial page. */
import { translator } from '../translate.ts'

export const serialPageTexts = {
  'serial.silent': 'Connected. Nothing printed yet: press Enter.',
  'serial.size':
    'The terminal has {columns} columns and {rows} rows. A serial port does not report this to the machine. In a shell you can set it:',
  'session.terminal': 'Terminal',
  'session.terminal-size': '{columns} columns, {rows} rows',
} as const

export const t = translator(serialPageTexts)
