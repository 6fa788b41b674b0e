/** The parts that all OpenAPI documents share. */
import type * as Type from 'typebox'

export type Json = { [key: string]: unknown }

/** How callers authenticate: by the header of OpenStack's tokens. */
export const SECURITY = {
  security: [{ token: [] }],
  components: { securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } } },
} as const

/** Returns the parameters in a route's path. */
export const pathParameters = ({ path }: { readonly path: string }): Json[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))

/** Copies a schema through JSON, which drops TypeBox's hidden members, and so that documents share no objects. */
export const plain = (schema: Type.TSchema): unknown => JSON.parse(JSON.stringify(schema))
