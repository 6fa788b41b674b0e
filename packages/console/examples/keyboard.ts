import { type KeyStroke, planKeys, planTyping } from '@oriel/console'

/** Signs in at a German guest. */
export async function signIn(send: (strokes: readonly KeyStroke[]) => Promise<void>, password: string) {
  await send(planKeys(['Control+Alt+F2', 'Enter']))
  await send(await planTyping('jürgen\n', { layout: 'de' }))
  await send(await planTyping(`${password}\n`, { layout: 'de' }))
}
