/** Validates bodies and queries against the contract at a microversion. */
import { at } from '@oriel/contract'
import type * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { HttpFault } from './faults.ts'
import { schemaFault } from './schema-fault.ts'

interface Validator {
  readonly schema: Type.TSchema
  check(value: unknown): boolean
}

/** Creates a function that validates values. It compiles each shape once, when it is first used. */
export function validation() {
  const byMicroversion = new WeakMap<Type.TSchema, Map<string, Validator>>()
  const byShape = new Map<string, Validator>()

  /** @throws HttpFault 400 with the first fault */
  return function validate(schema: Type.TSchema, microversion: string, value: unknown): void {
    const known = byMicroversion.get(schema) ?? new Map<string, Validator>()
    byMicroversion.set(schema, known)
    const validator = known.get(microversion) ?? compiled(at(schema, microversion), byShape)
    known.set(microversion, validator)
    if (!validator.check(value)) throw new HttpFault(400, schemaFault(validator.schema, value) ?? 'Invalid input')
  }
}

// Most microversions change no schema, so there are only a few shapes.
function compiled(schema: Type.TSchema, byShape: Map<string, Validator>): Validator {
  const shape = JSON.stringify(schema)
  const found = byShape.get(shape) ?? { schema, check: checker(schema) }
  byShape.set(shape, found)
  return found
}

function checker(schema: Type.TSchema): (value: unknown) => boolean {
  const validator = Compile(schema)
  return (value) => validator.Check(value)
}
