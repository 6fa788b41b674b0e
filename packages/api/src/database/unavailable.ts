/** The error for a database that does not answer. */

/** Thrown when the database does not answer. Clients get 503 with `Retry-After`. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}
