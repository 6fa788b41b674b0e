/** Role names in the configuration. */
import { parsedText } from '@oriel/runtime'
import type * as Type from 'typebox'

/** A role's name. Names are compared in lower case, as Keystone and oslo.policy do, and are kept so. */
export const role = (options: Type.TStringOptions = {}): Type.TString =>
  parsedText(parseRole, { minLength: 1, ...options })

function parseRole(text: string): string {
  if (text.trim() !== text) throw new TypeError('begins or ends with a blank, give the name of a role alone')
  return text.toLowerCase()
}
