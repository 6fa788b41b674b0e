/**
 * Loads the parts that a page does not need at first. When it needs them, their files may be out of reach: the link is down, or
 * an upgrade of the proxy has replaced them.
 */
import { t } from './language/texts/elements.ts'

/** Says that a part is missing, in the language of the user. `cause` is the error of the browser, whose text differs between browsers. */
export class PartNotLoaded extends Error {
  constructor(cause: unknown) {
    super(t('end.not_loaded'), { cause })
  }
}

/**
 * Every `import()` goes through this, unless its caller does without the part.
 * @throws PartNotLoaded. A later call tries again.
 */
export function loadPart<T>(load: () => Promise<T>): Promise<T> {
  return load().catch((cause: unknown) => {
    throw new PartNotLoaded(cause)
  })
}

/** Returns a function that makes something of a part once, and again after a failure. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}
