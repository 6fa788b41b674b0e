/** The error for a caller whose roles do not suffice. */

/** Thrown when no role of the caller grants `rule`, with Nova's text for it. Clients get 403. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden'

  constructor(rule: string) {
    super(`Policy doesn't allow ${rule} to be performed.`)
  }
}

/** Rules that only appear in the text need not be configurable. */
export const forbidden = (rule: string) => new Forbidden(rule)
