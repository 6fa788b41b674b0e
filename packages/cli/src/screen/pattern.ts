/** Regular expressions on the command line and in scripts. */
import { Failure } from '../failure.ts'

/**
 * Reads an expression: `/…/` with flags, or its source alone, for which `^` and `$` match at each line.
 * @throws Failure if it is malformed
 */
export function patternOf(text: string): RegExp {
  const [, source, flags] = /^\/(.+)\/([a-z]*)$/.exec(text) ?? [undefined, text, 'm']
  try {
    return new RegExp(source!, flags)
  } catch (cause) {
    const { message } = cause as Error
    throw new Failure(
      'usage',
      `${text} is not a regular expression (${message}). Put \\ before a sign that you mean literally.`,
    )
  }
}
