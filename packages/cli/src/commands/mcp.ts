/** `oriel mcp` */
import { setTimeout as pause } from 'node:timers/promises'
import { signIn } from '../cloud/sign-in.ts'
import { Consoles } from '../mcp/consoles.ts'
import { serve } from '../mcp/server.ts'
import { say } from '../output.ts'
import { signalled } from '../signals.ts'
import type { Call } from './command.ts'

/** A console that does not close by then ends with the process. */
const CLOSE_TIMEOUT_MS = 2000

/** Serves MCP on stdin and stdout until the client ends, and closes all consoles then. */
export async function run({ values }: Call): Promise<number> {
  const readOnly = values['read-only'] !== undefined
  const consoles = new Consoles(signIn(values), readOnly ? 'watch' : 'control')
  const ended = Promise.race([serve(consoles, { readOnly }).then(() => 0), signalled()])
  say(`serving MCP on stdin and stdout${readOnly ? ', without input' : ''}; it ends with stdin`)
  const code = await ended
  await Promise.race([consoles[Symbol.asyncDispose](), pause(CLOSE_TIMEOUT_MS)])
  return code
}
