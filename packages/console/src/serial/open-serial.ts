/** Opens serial consoles. */
import { type Client, ConnectionError } from '@oriel/sdk'
import { socketAddress } from '../connection/address.ts'
import { type Channel, type CreateWebSocket, openChannel, platformWebSocket } from '../connection/channel.ts'
import { requirePlatform } from '../connection/platform.ts'
import { Serial, type SerialLimits } from './serial.ts'

export interface SerialOptions extends SerialLimits {
  /** Ends the opening with its reason. It has no effect on an open console. */
  readonly signal?: AbortSignal | undefined
  /** How long dialling may take, in milliseconds. Default: 20,000. */
  readonly openTimeoutMs?: number | undefined
  /**
   * Creates the WebSocket, such as one of the package `ws` with the CA of a private cloud. Default: the platform's
   * `WebSocket`.
   */
  readonly webSocket?: CreateWebSocket | undefined
}

/** The address of a serial console, with the options of {@link openSerial}. */
export interface SerialUrl extends SerialOptions {
  /** The access URL of a console of type `serial`, from any Nova: a `ws:` or `wss:` URL, or that of a page. A secret. */
  readonly url: string
}

/** What is needed of the SDK's client. */
export type SerialCreator = Pick<Client, 'createConsole'>

const OPEN_TIMEOUT_MS = 20_000

/**
 * Opens the serial console of a server, and resolves once the proxy has accepted the connection. Close it: `await using serial
 * = await openSerial(…)`. With Oriel's proxy the output starts with the latest that the machine printed before.
 *
 * @throws ConsoleRefused if Oriel's proxy refuses; ConnectionError if there is no answer, or another proxy refuses;
 * ConsoleClosed if the console is closed meanwhile; SettingsError for a URL that is none of a console's, and on a platform that is too old; with a client, what
 * its `createConsole` throws
 */
export function openSerial(client: SerialCreator, serverId: string, options?: SerialOptions): Promise<Serial>
export function openSerial(url: SerialUrl): Promise<Serial>
export async function openSerial(
  source: SerialCreator | SerialUrl,
  serverId = '',
  options: SerialOptions = {},
): Promise<Serial> {
  requirePlatform()
  if ('url' in source) return dial(socketAddress(source.url), source)
  const { url } = await source.createConsole(serverId, 'serial', { signal: options.signal })
  return dial(socketAddress(url), options)
}

async function dial(address: URL, options: SerialOptions): Promise<Serial> {
  const { signal, openTimeoutMs = OPEN_TIMEOUT_MS, webSocket = platformWebSocket } = options
  signal?.throwIfAborted()
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>()
  const channel: Channel = openChannel(address, webSocket, {
    onOpen: resolve,
    onBytes: (bytes) => serial.receive(bytes),
    onEnd(error) {
      reject(error)
      serial.end(error)
    },
  })
  const serial = new Serial(channel, options)
  const expire = () => channel.close(tooLate(address, openTimeoutMs))
  const timer = setTimeout(expire, openTimeoutMs)
  const abort = () => {
    reject(signal?.reason)
    channel.close()
  }
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await opened
    return serial
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

const tooLate = ({ origin }: URL, ms: number) =>
  new ConnectionError('timeout', `${origin} did not open the console within ${ms} ms`)
