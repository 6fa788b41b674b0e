/** The English texts of the notice of a part that could not be loaded. */
import { translator } from '../translate.ts'

export const missingPartTexts = {
  'missing-part.advice': 'Try again, or reload the page.',
  'missing-part.reload': 'Reload',
  'missing-part.close': 'Close',
} as const

export const t = translator(missingPartTexts)
