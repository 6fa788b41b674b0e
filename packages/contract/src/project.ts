/** Projects the newest shape, which handlers return, to the shape of the request's microversion. */
import * as Type from 'typebox'

/**
 * Returns `value` with only the members that `schema` names, in the schema's order, at every depth. An object schema without
 * properties is open and keeps all members. For a union, the first member of the value's JSON type applies.
 */
export function project(schema: Type.TSchema, value: unknown): unknown {
  if (Type.IsObject(schema) && isRecord(value)) return projectObject(schema, value)
  if (Type.IsArray(schema) && Array.isArray(value)) return value.map((item) => project(schema.items, item))
  if (Type.IsUnion(schema)) return projectUnion(schema.anyOf, value)
  return value
}

function projectObject(schema: Type.TObject, value: Record<string, unknown>): Record<string, unknown> {
  const members = Object.entries(schema.properties)
  if (members.length === 0) return value
  const present = members.filter(([name]) => Object.hasOwn(value, name) && value[name] !== undefined)
  return Object.fromEntries(present.map(([name, member]) => [name, project(member, value[name])]))
}

function projectUnion(members: readonly Type.TSchema[], value: unknown): unknown {
  const fitting = members.find((member) => (isRecord(value) ? Type.IsObject(member) : !Type.IsObject(member)))
  return fitting === undefined ? value : project(fitting, value)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
