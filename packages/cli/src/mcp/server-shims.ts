/**
 * Replaces `@modelcontextprotocol/server/_shims` in the bundle. The original brings Ajv, a fifth of a megabyte, to check the answers
 * of elicitation, which this server does not use.
 */
export { default as process } from 'node:process'

export class DefaultJsonSchemaValidator {
  getValidator(): never {
    throw new Error('The bundle has no validator of JSON Schema.')
  }
}
