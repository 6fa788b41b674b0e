/** Schemas of the plain fields that tables of a configuration have in common. */
import * as Type from 'typebox'

/** The longest span that a Node timer takes: one that is set for longer fires at once. */
export const MAX_TIMER_MS = 2_147_483_647
export const MAX_TIMER_SECONDS = 2_147_483

/** A table that has no keys besides `properties`. */
export const table = <P extends Type.TProperties>(properties: P, options: Type.TObjectOptions = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false })

export const optionalText = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

export const oneOf = <const V extends readonly string[]>(values: V, options: Type.TSchemaOptions = {}) =>
  Type.Unsafe<V[number]>({ ...options, enum: values })

/** A list of texts, empty by default. */
export const texts = (description: string) => Type.Array(Type.String({ minLength: 1 }), { default: [], description })

/** A whole number from 1 up. */
export const count = (value: number, description: string) => Type.Integer({ default: value, minimum: 1, description })

/** A span in seconds, at most what a timer takes. */
export const seconds = (value: number, description: string, minimum = 0) =>
  Type.Integer({ default: value, minimum, maximum: MAX_TIMER_SECONDS, description })

/** A deadline in milliseconds, of at most two minutes. */
export const milliseconds = (value: number, description: string) =>
  Type.Integer({ default: value, minimum: 1, maximum: 120_000, description })
