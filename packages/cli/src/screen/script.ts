/**
 * Scripts of `oriel run`: one step a line. Blank lines and lines that start with `#` are skipped. The whole script is read
 * before the first step, so that a mistake in its last line does not leave a machine half installed.
 */
import { layoutNames, planKeys, planTyping } from '@oriel/console'
import { nearest, suggestion } from '../arguments/nearest.ts'
import { Failure } from '../failure.ts'
import { echoed } from '../output.ts'
import { patternOf } from './pattern.ts'

/** A step, and its line in the script. */
export type Step = { readonly line: number; readonly source: string } & Action

export type Action =
  | { readonly does: 'wait'; readonly pattern: RegExp }
  | { readonly does: 'still'; readonly quietMs: number }
  | { readonly does: 'type'; readonly text: string }
  | { readonly does: 'press'; readonly keys: readonly string[] }
  | { readonly does: 'pause'; readonly ms: number }
  | { readonly does: 'screenshot'; readonly file: string }
  | { readonly does: 'timeout'; readonly ms: number }
  | { readonly does: 'layout'; readonly name: string }

type Env = Readonly<Record<string, string | undefined>>
type Reader = (rest: string, env: Env) => Action

const readers = {
  wait: (rest) => ({ does: 'wait', pattern: patternOf(required(rest, 'an expression: wait /login: $/m')) }),
  still: (rest) => ({ does: 'still', quietMs: secondsOf(rest === '' ? '1' : rest) }),
  type: (rest) => ({ does: 'type', text: textIn(required(rest, 'a text: type root, or type "root\\n"')) }),
  'type-env': (rest, env) => ({ does: 'type', text: variable(required(rest, 'the name of a variable'), env) }),
  press: (rest) => ({ does: 'press', keys: keysIn(required(rest, 'keys: press Control+Alt+F2 Enter')) }),
  pause: (rest) => ({ does: 'pause', ms: secondsOf(rest) }),
  screenshot: (rest) => ({ does: 'screenshot', file: required(rest, 'a file: screenshot done.png') }),
  timeout: (rest) => ({ does: 'timeout', ms: secondsOf(rest) }),
  layout: (rest) => ({ does: 'layout', name: layoutIn(rest) }),
} as const satisfies Record<string, Reader>

/**
 * Reads a script.
 * @param env variables for `type-env`, which keeps passwords out of the script
 * @throws Failure that lists every mistake with its line
 */
export function readScript(text: string, env: Env): readonly Step[] {
  const steps: Step[] = []
  const mistakes: string[] = []
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const source = raw.trim()
    if (source === '' || source.startsWith('#')) continue
    try {
      steps.push({ line: index + 1, source, ...actionOf(source, env) })
    } catch (error) {
      mistakes.push(`line ${index + 1}: ${(error as Error).message}`)
    }
  }
  if (mistakes.length > 0) throw mistaken(mistakes)
  if (steps.length === 0) throw new Failure('usage', `The script has no steps. There are ${verbs.join(', ')}.`)
  return steps
}

/** @throws Failure that lists the texts which their keyboard layout cannot type */
export async function checkTexts(steps: readonly Step[]): Promise<void> {
  const mistakes: string[] = []
  let layout = 'us'
  for (const step of steps) {
    if (step.does === 'layout') layout = step.name
    if (step.does !== 'type') continue
    await planTyping(step.text, { layout }).catch(({ message }: Error) =>
      mistakes.push(`line ${step.line}: ${message}`),
    )
  }
  if (mistakes.length > 0) throw mistaken(mistakes)
}

/**
 * @param timeoutMs the deadline of a wait until the script sets another
 * @throws Failure that lists the steps `still` that no wait can fulfil before its deadline
 */
export function checkStills(steps: readonly Step[], timeoutMs: number): void {
  const mistakes: string[] = []
  let limitMs = timeoutMs
  for (const step of steps) {
    if (step.does === 'timeout') limitMs = step.ms
    if (step.does !== 'still' || step.quietMs < limitMs) continue
    mistakes.push(`line ${step.line}: ${step.source} cannot succeed within the timeout of ${limitMs / 1000} seconds`)
  }
  if (mistakes.length > 0) throw mistaken(mistakes)
}

const mistaken = (mistakes: readonly string[]) =>
  new Failure('usage', `The script has mistakes:\n  ${mistakes.join('\n  ')}`)

const verbs = Object.keys(readers)

function actionOf(source: string, env: Env): Action {
  const [, verb, rest] = /^(\S+)\s*(.*)$/s.exec(source)!
  const reader: Reader | undefined = Object.hasOwn(readers, verb!) ? readers[verb as keyof typeof readers] : undefined
  if (reader !== undefined) return reader(rest!, env)
  const near = suggestion(nearest(verb!, verbs))
  throw new Failure('usage', `there is no step ${echoed(verb!)}.${near || ` There are ${verbs.join(', ')}.`}`)
}

function required(rest: string, what: string): string {
  if (rest === '') throw new Failure('usage', `needs ${what}`)
  return rest
}

/** A text in quotes is JSON, so that it may have `\n` and blanks at its ends. */
function textIn(rest: string): string {
  if (!rest.startsWith('"')) return rest
  try {
    return String(JSON.parse(rest))
  } catch {
    throw new Failure('usage', `${echoed(rest)} is not a text in quotes: it ends with ", and \\ is written \\\\`)
  }
}

function variable(name: string, env: Env): string {
  const value = env[name]
  if (value === undefined) throw new Failure('usage', `the variable ${echoed(name)} is not set`)
  return value
}

function keysIn(rest: string): readonly string[] {
  const keys = rest.split(/\s+/)
  checkKeys(keys)
  return keys
}

/** @throws Failure if there is no key of a name */
export function checkKeys(keys: readonly string[]): void {
  try {
    planKeys(keys)
  } catch (cause) {
    throw new Failure('usage', (cause as Error).message, { cause })
  }
}

function secondsOf(rest: string): number {
  const seconds = Number(rest)
  if (rest !== '' && seconds >= 0 && seconds <= 86_400) return seconds * 1000
  throw new Failure('usage', `needs a number of seconds from 0 to 86400`)
}

function layoutIn(rest: string): string {
  if ((layoutNames as readonly string[]).includes(rest)) return rest
  throw new Failure('usage', `there is no layout ${echoed(rest)}. There are ${layoutNames.join(', ')}`)
}
