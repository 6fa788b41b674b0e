/** The results of tools. */
import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server'
import { failureOf } from '../failure.ts'
import { plain, say } from '../output.ts'

/** Returns a result of one text. */
export const textResult = (text: string): CallToolResult => ({ content: [{ type: 'text', text }] })

type Handler<Input> = (input: Input, signal: AbortSignal) => Promise<CallToolResult>

/**
 * Returns a handler that logs each call without the texts that it types, and answers an error with its sentence. Errors of the
 * SDK and of consoles contain no token.
 */
export const answering =
  <Input extends object>(tool: string, handle: Handler<Input>) =>
  async (input: Input, { mcpReq: { signal } }: ServerContext): Promise<CallToolResult> => {
    say('server' in input ? `${tool} ${plain(String(input.server))}` : tool)
    try {
      return await handle(input, signal)
    } catch (error) {
      const { message } = failureOf(error)
      say(`${tool} failed: ${plain(message)}`)
      if (process.env.ORIEL_DEBUG === '1') say(String((error as Partial<Error>).stack))
      return { ...textResult(message), isError: true }
    }
  }

/** Returns the end of a text, with a line that says how much is missing before it. */
export function endOf(text: string, maxChars: number): string {
  const missing = text.length - maxChars
  return missing > 0 ? `(${missing} earlier characters are left out.)\n${text.slice(missing)}` : text
}
