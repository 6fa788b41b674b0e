/** Opens serial consoles. */
import { type Client, ConnectionError } from '@oriel/sdk'
import { consoleAddress } from '../connection/address.ts'
import { type Channel, type CreateWebSocket, openChannel, platformWebSocket } from '../connection/channel.ts'
import { RECONNECT_WINDOW_MS } from '../connection/connection.ts'
import { requirePlatform } from '../connection/platform.ts'
import { type ConnectSerial, Serial, type SerialEvents, type SerialLimits } from './serial.ts'

export interface SerialOptions extends SerialLimits {
  /** Ends the opening with its reason. It has no effect on an open console. */
  readonly signal?: AbortSignal | undefined
  /** How long dialling may take, in milliseconds. Default: 20,000. */
  readonly openTimeoutMs?: number | undefined
  /**
   * Whether to open the console again after an end whose remedy is `reconnect`, such as a restart of the proxy or of the
   * machine. `expect` and `readable` go on meanwhile, and methods for input throw a ConnectionError. Output that the proxy
   * repeats is left out; where output may be missing or repeated, a line that begins with `[oriel: ` says so. With a client each
   * connection has its own access URL; a URL must still be valid. Default: false.
   */
  readonly reconnect?: boolean | undefined
  /** For how long `reconnect` goes on trying after an end, in milliseconds. `Infinity`: no limit. Default: 120,000. */
  readonly reconnectWindowMs?: number | undefined
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
  if ('url' in source) return open(async () => source.url, source)
  return open(async (signal) => (await source.createConsole(serverId, 'serial', { signal })).url, options)
}

/** @param accessUrl returns the URL for the next connection */
async function open(accessUrl: (signal?: AbortSignal) => Promise<string>, options: SerialOptions): Promise<Serial> {
  requirePlatform()
  let { signal } = options
  const connect: ConnectSerial = async (events, closing) => {
    const channel = await dial(consoleAddress(await accessUrl(signal)), { ...options, signal }, events)
    // The caller's signal is for the opening. Later connections end with the console.
    signal = closing
    return channel
  }
  const { reconnect = false, reconnectWindowMs = RECONNECT_WINDOW_MS } = options
  return Serial.open(connect, reconnect ? reconnectWindowMs : 0, options)
}

/** Resolves with the connection once the proxy has accepted it. */
async function dial(address: URL, options: SerialOptions, events: SerialEvents): Promise<Channel> {
  const { signal, openTimeoutMs = OPEN_TIMEOUT_MS, webSocket = platformWebSocket } = options
  signal?.throwIfAborted()
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>()
  const channel = openChannel(address, webSocket, {
    ...events,
    onOpen: resolve,
    onEnd(error) {
      reject(error)
      events.onEnd(error)
    },
  })
  const expire = () => channel.close(tooLate(address, openTimeoutMs))
  const timer = setTimeout(expire, openTimeoutMs)
  const abort = () => {
    reject(signal?.reason)
    channel.close()
  }
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await opened
    return channel
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

const tooLate = ({ origin }: URL, ms: number) =>
  new ConnectionError('timeout', `${origin} did not open the console within ${ms} ms`)
