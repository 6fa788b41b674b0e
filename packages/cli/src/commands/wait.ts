/** `oriel wait SERVER` */
import { textOf, type Values } from '../arguments/options.ts'
import { millisecondsOf } from '../arguments/parse.ts'
import { signIn } from '../cloud/sign-in.ts'
import { Failure } from '../failure.ts'
import { print, printJson } from '../output.ts'
import { openServerScreen } from '../screen/open.ts'
import { patternOf } from '../screen/pattern.ts'
import { explained } from '../screen/timeout.ts'
import type { Call } from './command.ts'

const DEFAULT_SECONDS = 60

/** Waits until the screen shows a text, or has not changed for a while. */
export async function run({ words, values }: Call): Promise<undefined> {
  const timeoutMs = millisecondsOf('timeout', textOf(values, 'timeout'), DEFAULT_SECONDS)
  const goal = goalOf(values, timeoutMs)
  // Here --timeout is for the screen. The API and the proxy answer in the usual time.
  const cloud = signIn({ ...values, timeout: undefined })
  await using opened = await openServerScreen(cloud, words[0]!, { reconnect: true })
  const { server, screen } = opened
  const seen = await explained(
    goal instanceof RegExp
      ? screen.waitForText(goal, { timeoutMs })
      : screen.waitForStill({ quietMs: goal, timeoutMs }).then(() => undefined),
  )
  if (values.json)
    return printJson({
      server: { id: server.id, name: server.name },
      text: seen?.text ?? null,
      groups: seen?.groups ?? [],
    })
  if (seen !== undefined) print(seen.text)
}

/** Returns the text to wait for, or the milliseconds without a change. */
function goalOf(values: Values, timeoutMs: number): RegExp | number {
  const [text, still] = [textOf(values, 'text'), textOf(values, 'still')]
  if (text !== undefined && still === undefined) return patternOf(text)
  if (text === undefined && still !== undefined) return quietMsOf(still, timeoutMs)
  throw new Failure('usage', 'oriel wait needs either --text REGEX or --still SECONDS.')
}

function quietMsOf(still: string, timeoutMs: number): number {
  const quietMs = millisecondsOf('still', still, 1)
  if (quietMs < timeoutMs) return quietMs
  const advice = 'Raise --timeout above it.'
  throw new Failure('usage', `--still ${still} cannot succeed within --timeout ${timeoutMs / 1000}. ${advice}`)
}
