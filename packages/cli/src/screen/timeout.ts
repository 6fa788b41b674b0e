/** Explains a wait that took too long with what was on the screen. */
import { WaitTimeout } from '@oriel/console'
import { Failure } from '../failure.ts'
import { plain } from '../output.ts'

/** Returns `wait`. @throws Failure in place of a WaitTimeout, with the text that was on the screen */
export async function explained<T>(wait: Promise<T>): Promise<T> {
  try {
    return await wait
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error
    throw new Failure('timeout', `${error.message}. ${shownBy(error)}`, { cause: error })
  }
}

function shownBy({ text, screenshot: { width, height } }: WaitTimeout): string {
  if (text === undefined) return `The screen is ${width}×${height}; \`oriel screenshot\` shows it.`
  const lines = text.lines.map(plain).filter((line) => line !== '')
  return lines.length === 0 ? 'No text is on the screen.' : `On the screen is:\n${lines.join('\n')}`
}
