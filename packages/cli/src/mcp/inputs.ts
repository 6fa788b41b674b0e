/** The inputs that several tools have. */
import * as z from 'zod'

export const server = z
  .string()
  .min(1)
  .max(255)
  .describe('The name or the id of the server, as list_servers returns them')

/** Returns the input for how long a tool waits. */
export const timeoutSeconds = (defaultSeconds: number) =>
  z
    .number()
    .positive()
    .max(MAX_WAIT_SECONDS)
    .default(defaultSeconds)
    .describe('How long to wait, in seconds. Many clients give a call up after 60 seconds')
const MAX_WAIT_SECONDS = 600

export const pattern = z
  .string()
  .min(1)
  .max(500)
  .describe(
    'A regular expression of JavaScript, or /expression/flags. Without flags, ^ and $ match at each line. Lines have no blanks at their ends',
  )

export const enter = z.boolean().default(false).describe('Whether to press Enter after the text')
