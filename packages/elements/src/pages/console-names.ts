/** The names of console types for people. */
import { consoleTypes, isOpenable } from '@oriel/contract'
import { translation } from '../language/translate.ts'

/** Returns the name of a type. `inside`: in the middle of an English sentence. A type that is unknown is its own name. */
export function consoleName(type: string, place?: 'inside'): string {
  const label = isOpenable(type) ? consoleTypes[type].label : type
  return translation(`console.${type}`) ?? (place === 'inside' ? label.toLowerCase() : label)
}
