/** Fails a test during which an exception or a rejection went unhandled, which would end a program. */
import { afterEach, beforeEach, expect } from 'vitest'

/** Watches each test of the calling file, and that none of them polluted `Object.prototype`. */
export function expectNothingUncaught(): void {
  const uncaught: unknown[] = []
  const note = (error: unknown) => void uncaught.push(error)
  beforeEach(() => {
    uncaught.length = 0
    process.on('uncaughtException', note).on('unhandledRejection', note)
  })
  afterEach(() => {
    process.off('uncaughtException', note).off('unhandledRejection', note)
    expect(uncaught).toEqual([])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
}
