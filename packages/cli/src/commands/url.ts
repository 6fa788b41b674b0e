/** `oriel url SERVER` */
import type { OpenableConsoleType } from '@oriel/contract'
import { textOf, type Values } from '../arguments/options.ts'
import { consoleOf } from '../cloud/create-console.ts'
import { signIn } from '../cloud/sign-in.ts'
import { print, printJson } from '../output.ts'
import type { Call } from './command.ts'

/** Prints the access URL of a new console. */
export async function run({ words, values }: Call): Promise<undefined> {
  const { server, console } = await consoleOf(signIn(values), words[0]!, typeOf(values))
  const { protocol, type, url, pageUrl, expiresAt } = console
  if (!values.json) return print(values.page ? pageUrl : url)
  const { id, name } = server
  printJson({
    server: { id, name },
    protocol,
    type,
    url,
    page_url: pageUrl,
    expires_at: expiresAt?.toISOString() ?? null,
  })
}

/** Returns the type of `--type`, which the parser has checked. */
export const typeOf = (values: Values) => (textOf(values, 'type') ?? 'novnc') as OpenableConsoleType
