/** `oriel type SERVER [TEXT | -]` */
import { text as textOfStream } from 'node:stream/consumers'
import type { LayoutName } from '@oriel/console'
import { textOf, type Values } from '../arguments/options.ts'
import { signIn } from '../cloud/sign-in.ts'
import { Failure } from '../failure.ts'
import { say } from '../output.ts'
import { openServerScreen } from '../screen/open.ts'
import { typeText } from '../screen/type.ts'
import type { Call } from './command.ts'

/** Types a text. */
export async function run({ words: [server, given], values }: Call): Promise<undefined> {
  const text = (await textFor(given)) + (values.enter ? '\n' : '')
  if (text === '') throw new Failure('usage', 'There is no text to type.')
  await using opened = await openServerScreen(signIn(values), server!)
  await typeText(opened.screen, text, { layout: layoutOf(values) })
}

/** Without TEXT, or with `-`, stdin is the text. */
async function textFor(given: string | undefined): Promise<string> {
  if (given !== undefined && given !== '-') return given
  if (process.stdin.isTTY) say('type the text, and end it with Ctrl-D')
  return textOfStream(process.stdin)
}

/** Returns the layout of `--layout`, which the parser has checked. */
export const layoutOf = (values: Values) => (textOf(values, 'layout') ?? 'us') as LayoutName
