/** The error for an unavailable database. */

/** Thrown when the database is unavailable. Clients get 503 with `Retry-After`. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}
