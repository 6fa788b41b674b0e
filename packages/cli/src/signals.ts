/** Waits for the signals that end the command. */
import { codeOfSignal, signals } from './exit-codes.ts'

/** Resolves with the exit code for the first signal. From then on the process ends only by itself. */
export const signalled = (): Promise<number> =>
  new Promise((resolve) => {
    for (const signal of signals) process.once(signal, () => resolve(codeOfSignal(signal)))
  })
