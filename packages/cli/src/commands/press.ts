/** `oriel press SERVER KEYS…` */
import { signIn } from '../cloud/sign-in.ts'
import { openServerScreen } from '../screen/open.ts'
import { checkKeys } from '../screen/script.ts'
import type { Call } from './command.ts'

/** Presses keys one after the other. */
export async function run({ words: [server, ...keys], values }: Call): Promise<undefined> {
  checkKeys(keys)
  await using opened = await openServerScreen(signIn(values), server!)
  await opened.screen.press(...keys)
}
