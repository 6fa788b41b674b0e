/** The interface of commands. */
import type { Options, Values } from '../arguments/options.ts'

/** A command's description, without its code, so that help and completion import none. */
export interface Command {
  readonly summary: string
  /** The arguments in the help, such as `SERVER`. */
  readonly usage: string
  /** The fewest and the most words after the command. */
  readonly words: readonly [min: number, max: number]
  /** What completion offers for each word: names of servers, or these. */
  readonly completes?: readonly ('servers' | readonly string[])[]
  readonly options: Options
  /** More lines of the help. */
  readonly notes?: string
  readonly load: () => Promise<{ readonly run: Run }>
}

/** The arguments of a command. */
export interface Call {
  readonly words: readonly string[]
  readonly values: Values
}

/** Runs a command, and resolves with its exit code: 0 by default. @throws Failure */
export type Run = (call: Call) => Promise<number | undefined>
