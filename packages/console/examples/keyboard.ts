import type { Screen } from '@oriel/console'

/** Signs in at the text console of a German guest. */
export async function signIn(screen: Screen, password: string): Promise<void> {
  await screen.press('Control+Alt+F2')
  await screen.type('jürgen\n', { layout: 'de' })
  await screen.type(`${password}\n`, { layout: 'de' })
}
