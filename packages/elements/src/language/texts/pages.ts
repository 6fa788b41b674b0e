/** The English texts of the scripts of the console pages, and of the panels that most people open. */
import { translator } from '../translate.ts'

export const pageTexts = {
  console: 'Console',
  'title.machine': '{name} · Console',
  'state.idle': 'No console',
  'state.connecting': 'Opening…',
  'state.connected': 'Connected',
  'state.waiting': 'Trying again…',
  'state.off': 'Switched off',
  'state.ended': 'Not connected',
  'state.watching': 'Watching',
  'state.view-only': 'Connected, view only',
  copied: 'Copied.',
  'copy-selected': 'The text is selected: copy it with Ctrl+C.',
} as const

export const t = translator(pageTexts)
