/** Calls of a store to its database. */
import { describeFailure } from './failure.ts'
import { StoreUnavailable } from './unavailable.ts'

/**
 * Returns a function that waits for a call, and turns every error of the driver into StoreUnavailable. The log has the cause.
 * @param store its name in messages, such as `the store of sessions`
 */
export const reaching =
  (store: string) =>
  async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call
    } catch (cause) {
      throw new StoreUnavailable(describeFailure(store, cause), { cause })
    }
  }
