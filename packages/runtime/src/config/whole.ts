/** Checks lists and tables as a whole. */
import * as Value from 'typebox/value'
import { fault } from './faults.ts'
import type { KeyInput, ResolveContext } from './key-input.ts'
import type { JsonSchema } from './schema-view.ts'
import { misfit } from './words.ts'

/** Checks size, uniqueness and the schema's own refinement. Records a fault, and returns `value` in any case. */
export function refined(context: ResolveContext, schema: JsonSchema, input: KeyInput, value: object): unknown {
  const { type, minItems, maxItems, uniqueItems, minProperties, maxProperties } = schema
  const whole = { type, minItems, maxItems, uniqueItems, minProperties, maxProperties, '~refine': schema['~refine'] }
  const keywords = Object.fromEntries(Object.entries(whole).filter(([, keyword]) => keyword !== undefined))
  const error = Value.Errors(keywords, value)[0]
  if (error?.keyword === '~refine') fault(context, input, error.message)
  else if (error) fault(context, input, misfit(schema, value, error))
  return value
}
