/** The English texts of the script of the VNC page. */
import { translator } from '../translate.ts'

export const vncPageTexts = {
  'clipboard.sent': 'Sent.',
  'clipboard.sent-replaced':
    'Sent, with "?" in place of {characters}: the console server takes only Western European characters.',
  'clipboard.received': 'Received from the machine.',
  'clipboard.kept': 'The machine has copied a text. Your text is still here.',
  'clipboard.reading': 'Reading…',
  'clipboard.no-text': 'The screen has no text in a font of text consoles.',
  'type.busy': 'Typing. Keys that you press are not sent meanwhile.',
  'type.done': 'Typed.',
  'type.done-without': 'Typed, without {characters}',
  'type.stopped': 'Stopped. A part of the text may have arrived.',
  'session.resolution': 'Resolution',
} as const

export const t = translator(vncPageTexts)
