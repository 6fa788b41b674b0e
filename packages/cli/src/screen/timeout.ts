/** Explains a wait that took too long with what was on the screen. */
import { WaitTimeout } from '@oriel/console'
import { Failure } from '../failure.ts'
import { plain } from '../output.ts'

/**
 * Returns `wait`.
 * @throws Failure in place of a WaitTimeout, with the text that was on the screen: `failed` if the connection was lost, because
 * the machine may show the text by now, else `timeout`
 */
export async function explained<T>(wait: Promise<T>): Promise<T> {
  try {
    return await wait
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error
    const message = `${error.message.replace(/\.$/, '')}. ${shownBy(error)}`
    throw new Failure(error.lost === undefined ? 'timeout' : 'failed', message, { cause: error })
  }
}

function shownBy({ text, screenshot: { width, height }, lost }: WaitTimeout): string {
  const [when, is] = lost === undefined ? ['On the screen', 'is'] : ['Before the loss, on the screen', 'was']
  if (text === undefined) return `The screen ${is} ${width}×${height}; \`oriel screenshot\` shows it.`
  const lines = text.lines.map(plain).filter((line) => line !== '')
  if (lines.length > 0) return `${when} ${is}:\n${lines.join('\n')}`
  return lost === undefined ? 'No text is on the screen.' : 'No text was on the screen before the loss.'
}
