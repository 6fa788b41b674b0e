/** `oriel open SERVER` */
import { consoleOf } from '../cloud/create-console.ts'
import { signIn } from '../cloud/sign-in.ts'
import { echoed, print, printJson, say } from '../output.ts'
import { signalled } from '../signals.ts'
import { serveRedirect } from '../viewer/one-redirect.ts'
import { startViewer } from '../viewer/start-viewer.ts'
import { browserCommand } from '../viewer/viewers.ts'
import type { Call } from './command.ts'
import { typeOf } from './url.ts'

/** How long a browser may take to start. */
const BROWSER_TIMEOUT_MS = 30_000

/** Opens the page of a new console in the browser, or prints it if there is no browser. */
export async function run({ words, values }: Call): Promise<number> {
  const { server, console } = await consoleOf(signIn(values), words[0]!, typeOf(values))
  const command = browserCommand()
  const signal = signalled()
  const opened = command === undefined ? false : await Promise.race([inBrowser(command, console.pageUrl), signal])
  if (typeof opened === 'number') return opened
  if (values.json)
    printJson({ server: { id: server.id, name: server.name }, opened, page_url: opened ? null : console.pageUrl })
  else if (opened) say(`opened ${echoed(server.name)} in the browser`)
  else print(console.pageUrl)
  return 0
}

/** Starts the browser. Resolves with whether it asked for the page. */
async function inBrowser(command: readonly string[], page: string): Promise<boolean> {
  const redirect = await serveRedirect(page)
  const browser = startViewer([...command, redirect.url], 'Name another browser with BROWSER.')
  const failed = browser.ended.then(
    () => new Promise<never>(() => {}), // most browsers go to the background
    (error: Error) => error.message,
  )
  const late = new Promise<string>((resolve) =>
    setTimeout(resolve, BROWSER_TIMEOUT_MS, 'The browser did not open the page.'),
  )
  const trouble = await Promise.race([redirect.followed, failed, late])
  redirect.close()
  if (trouble !== undefined) say(`${trouble} Open this address:`)
  return trouble === undefined
}
