/** Types a text, and reports after a failure how much of it the machine has. */
import type { Screen, Typed, TypeOptions } from '@oriel/console'
import { Failure, failureOf } from '../failure.ts'

/** Types a text. @throws Failure with the number of characters that arrived, if some were sent; otherwise the error of `type` */
export async function typeText(screen: Screen, text: string, options: TypeOptions): Promise<void> {
  let typed: Typed | undefined
  const onTyped = (now: Typed) => {
    typed = now
  }
  try {
    await screen.type(text, { ...options, onTyped })
  } catch (error) {
    if (typed === undefined) throw error
    const { exit, message } = failureOf(error)
    throw new Failure(exit, `${message} ${arrived(typed)}`, { cause: error })
  }
}

/** The machine may have taken the last characters that were sent before the connection broke. */
function arrived({ sent, taken, total }: Typed): string {
  const count = sent === taken ? `${sent}` : `at least ${taken} and at most ${sent}`
  return `Of ${total} characters, ${count} arrived. Look at the screen before you type the rest.`
}
