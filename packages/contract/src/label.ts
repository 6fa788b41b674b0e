/** The label of a console or an invitation. */
import * as Type from 'typebox'

/** A name for people. Has no control characters, and none that change the direction of text. */
export const consoleLabel = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$',
  description: 'A name for people, such as that of its user.',
})
