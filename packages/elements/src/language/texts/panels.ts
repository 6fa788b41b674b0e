/** The English texts of panels and hints that are loaded when they are used. */
import { translator } from '../translate.ts'

export const panelTexts = {
  'keyboard-hint': 'The keyboard goes to the machine. Ctrl+Alt+Shift leaves it.',
  'find.empty': 'Write a text to look for.',
  'find.none': 'Not in the output.',
  'session.state': 'State',
  'session.connected-for': 'Connected for',
  'session.connection': 'Connection',
  'session.encrypted': 'Encrypted to the proxy',
  'session.plain': 'Not encrypted',
  'session.seconds': '{seconds} s',
  'session.minutes': '{minutes} min',
  'session.hours': '{hours} h {minutes} min',
} as const

export const t = translator(panelTexts)
