/** Schemas of plain fields, shared by the tables of all configurations. */
import * as Type from 'typebox'

/** The longest delay of a Node timer: a longer one fires at once. */
export const MAX_TIMER_MS = 2_147_483_647
export const MAX_TIMER_SECONDS = 2_147_483

/** A table with the keys of `properties` and no others. */
export const table = <P extends Type.TProperties>(properties: P, options: Type.TObjectOptions = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false })

export const optionalText = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

export const oneOf = <const V extends readonly string[]>(values: V, options: Type.TSchemaOptions = {}) =>
  Type.Unsafe<V[number]>({ ...options, enum: values })

/** A list of texts, empty by default. */
export const texts = (description: string) => Type.Array(Type.String({ minLength: 1 }), { default: [], description })

/** A whole number from 1 up. */
export const count = (value: number, description: string) => Type.Integer({ default: value, minimum: 1, description })

/** A duration in seconds, within the limit of a timer. */
export const seconds = (value: number, description: string, minimum = 0) =>
  Type.Integer({ default: value, minimum, maximum: MAX_TIMER_SECONDS, description })

/** A deadline in milliseconds, of at most two minutes. */
export const milliseconds = (value: number, description: string) =>
  Type.Integer({ default: value, minimum: 1, maximum: 120_000, description })
