/** A consumer's web page without a framework: imports the elements for their side effect, and uses them as of the DOM. */
import '@oriel/elements/console'
import '@oriel/elements/serial'
import '@oriel/elements/spice'
import '@oriel/elements/vnc'
import type { ConsoleEnd } from '@oriel/elements/vnc'

export async function show(url: string, ended: (end: ConsoleEnd) => void): Promise<void> {
  const screen = document.createElement('oriel-vnc')
  screen.addEventListener('disconnect', ({ detail }) => ended(detail))
  screen.mint = async (signal) =>
    (await fetch('/console', { method: 'POST', signal })).json() as Promise<{ url: string }>
  screen.url = url
  document.body.append(screen, document.createElement('oriel-serial'), document.createElement('oriel-spice'))
  const { skipped } = await screen.typeText('häßlich', { layout: 'us', untypable: 'skip' })
  const picture: Blob = await screen.screenshot()
  // @ts-expect-error There is no such scale
  screen.scale = 'fits'
  screen.title = `${skipped.length} ${picture.size}`
}
