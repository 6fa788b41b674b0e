/** `oriel run SERVER SCRIPT` */
import { readFile } from 'node:fs/promises'
import { text as textOfStream } from 'node:stream/consumers'
import { textOf, type Values } from '../arguments/options.ts'
import { millisecondsOf } from '../arguments/parse.ts'
import { signIn } from '../cloud/sign-in.ts'
import { Failure, failureOf } from '../failure.ts'
import { say } from '../output.ts'
import { openServerScreen } from '../screen/open.ts'
import { perform, type Settings } from '../screen/perform.ts'
import { checkStills, checkTexts, readScript, type Step } from '../screen/script.ts'
import { explained } from '../screen/timeout.ts'
import type { Call } from './command.ts'

const DEFAULT_SECONDS = 60

/** Performs the steps of a script. */
export async function run({ words: [server, file], values }: Call): Promise<undefined> {
  const steps = readScript(await readText(file!), process.env)
  const settings = settingsOf(values)
  checkStills(steps, settings.timeoutMs)
  await checkTexts(steps)
  const cloud = signIn({ ...values, timeout: undefined })
  await using opened = await openServerScreen(cloud, server!, { reconnect: true })
  for (const step of steps) {
    if (!values.quiet) say(`line ${step.line}: ${shown(step)}`)
    await explained(perform(step, opened.screen, settings)).catch((error: unknown) => {
      throw atLine(step, error)
    })
  }
}

function settingsOf(values: Values): Settings {
  return { timeoutMs: millisecondsOf('timeout', textOf(values, 'timeout'), DEFAULT_SECONDS), layout: 'us' }
}

async function readText(file: string): Promise<string> {
  if (file === '-') return textOfStream(process.stdin)
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new Failure('usage', `${file} cannot be read: ${(cause as Error).message}.`, { cause })
  }
}

/** A typed text may be a password. */
const shown = ({ source }: Step) => source.replace(/^type\s.*/, 'type')

function atLine(step: Step, error: unknown): Failure {
  const { exit, message } = failureOf(error)
  return new Failure(exit, `line ${step.line}: ${message}`, { cause: error })
}
