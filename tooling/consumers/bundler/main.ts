/** A consumer's web page: uses the published SDK with the DOM's types and without Node's. */
import { openScreen, ProtocolError, WaitTimeout } from '@oriel/console'
import { tokenOf } from '@oriel/contract'
import { ConnectionError, createClient, FaultError, type Fetch, OrielError, staticToken } from '@oriel/sdk'

const url = 'http://127.0.0.1:6080/vnc_lite.html?path=%3Ftoken%3Dt'
const version = { id: 'v2.1', status: 'CURRENT', version: '2.99', min_version: '2.1', updated: '', links: [] }
const fetch: Fetch = async (address) => {
  if (address === 'https://cloud.example/v2.1/') return Response.json({ version })
  if (address.includes('/forbidden/'))
    return Response.json({ forbidden: { code: 403, message: 'No.' } }, { status: 403 })
  if (address.includes('/away/')) throw new TypeError('Failed to fetch')
  return Response.json({ remote_console: { protocol: 'spice', type: 'spice-html5', url } })
}

const client = createClient({ endpoint: 'https://cloud.example/v2.1', auth: staticToken('t'), fetch })
const failure = (serverId: string) =>
  client.createConsole(serverId, 'serial').then(
    () => undefined,
    (error: unknown) => error,
  )

const console_ = await client.createConsole('s', 'spice-html5')
const forbidden = await failure('forbidden')
const away = await failure('away')
if (tokenOf(console_.url) !== 't') throw new Error('the address has no token')
if (!(forbidden instanceof FaultError) || forbidden.status !== 403) throw new Error('403 must be a fault')
if (!(away instanceof ConnectionError)) throw new Error('no answer must be a ConnectionError')
const element: HTMLIFrameElement | undefined = globalThis.document?.createElement('iframe')
if (element) element.src = console_.url
if (!(new ProtocolError('') instanceof OrielError)) throw new Error('the packages must share one base class of errors')

/** Has types that need neither Node's nor a newer `lib`. It is not called, because there is no server. */
export async function textOf(address: string): Promise<string> {
  const screen = await openScreen({ url: address, webSocket: (to, protocols) => new WebSocket(to, protocols) })
  try {
    return (await screen.waitForText(/login:$/m)).screen.toString()
  } catch (error) {
    return error instanceof WaitTimeout ? String(error.text) : Promise.reject(error)
  } finally {
    await screen.close()
  }
}
