/** Opens the screen of a machine. */
import type { Client } from '@oriel/sdk'
import { consoleAddress } from '../connection/address.ts'
import { type CreateWebSocket, platformWebSocket } from '../connection/channel.ts'
import { RECONNECT_WINDOW_MS } from '../connection/connection.ts'
import { requirePlatform } from '../connection/platform.ts'
import { allEncodings, type Encoding, numberOf } from '../rfb/encodings/index.ts'
import { Framebuffer } from './framebuffer.ts'
import { Screen } from './screen.ts'
import { type ConnectScreen, openSession } from './session.ts'

export interface ScreenOptions {
  /** Ends the opening with its reason. It has no effect on an open screen. */
  readonly signal?: AbortSignal
  /** How long dialling, the handshake and the first picture may take together. Default: 20,000. */
  readonly openTimeoutMs?: number
  /**
   * How long the server may be silent before the connection counts as broken. A server with nothing to send is asked for a
   * pixel meanwhile. Default: 30,000.
   */
  readonly silenceTimeoutMs?: number
  /** The largest screen, in pixels: at 4 bytes each it bounds the memory of the picture. Default: 16,777,216, which is 64 MiB. */
  readonly maxPixels?: number
  /** The encodings that the server may use, the preferred one first. Default: all of them. All are lossless. */
  readonly encodings?: readonly Encoding[]
  /** Whether other viewers may stay connected. Default: true. */
  readonly shared?: boolean
  /**
   * Whether to open the console again after an end whose remedy is `reconnect`, such as a restart of the proxy or of the
   * machine, for up to two minutes. Waits go on meanwhile, and methods for input throw a ConnectionError. With a client each
   * connection has its own access URL; a URL must still be valid. Default: false.
   */
  readonly reconnect?: boolean
  /**
   * Creates the WebSocket, such as one of the package `ws` with the CA of a private cloud. Default: the platform's
   * `WebSocket`.
   */
  readonly webSocket?: CreateWebSocket
}

/** An access URL, with the options of the screen. */
export interface AccessUrl extends ScreenOptions {
  /** The URL of a console of type `novnc`, from any Nova, or the `ws:` or `wss:` address itself. Treat it as a secret. */
  readonly url: string
}

/** What is needed of the SDK's client. */
export type ConsoleCreator = Pick<Client, 'createConsole'>

/**
 * Opens the screen of a server, and resolves once it shows a picture. Close it: `await using screen = await openScreen(…)`.
 *
 * @throws ConsoleRefused if Oriel's proxy refuses; ConnectionError if there is no answer, or another proxy refuses;
 * ConsoleClosed if the console is closed meanwhile; ProtocolError for a server that is not RFB without a password;
 * SettingsError for a URL that is none of a console's, and on a platform that is too old; TypeError for an unknown encoding;
 * with a client, what its `createConsole` throws
 */
export function openScreen(client: ConsoleCreator, serverId: string, options?: ScreenOptions): Promise<Screen>
export function openScreen(url: AccessUrl): Promise<Screen>
export async function openScreen(
  source: ConsoleCreator | AccessUrl,
  serverId = '',
  options: ScreenOptions = {},
): Promise<Screen> {
  if ('url' in source) return open(async () => source.url, source)
  return open(async (signal) => (await source.createConsole(serverId, 'novnc', signal ? { signal } : {})).url, options)
}

/** @param accessUrl returns the URL for the next connection */
async function open(accessUrl: (signal?: AbortSignal) => Promise<string>, options: ScreenOptions): Promise<Screen> {
  requirePlatform()
  for (const name of options.encodings ?? []) numberOf(name)
  const framebuffer = new Framebuffer(options.maxPixels ?? 1 << 24)
  const settings = {
    framebuffer,
    encodings: options.encodings ?? allEncodings,
    shared: options.shared ?? true,
    webSocket: options.webSocket ?? platformWebSocket,
    openTimeoutMs: options.openTimeoutMs ?? 20_000,
    silenceTimeoutMs: options.silenceTimeoutMs ?? 30_000,
  }
  let { signal } = options
  const connect: ConnectScreen = async (events, closing) => {
    const address = consoleAddress(await accessUrl(signal))
    const session = await openSession(address, { ...settings, signal }, events)
    // The caller's signal is for the opening. Later connections end with the screen.
    signal = closing
    return session
  }
  return Screen.open(framebuffer, connect, options.reconnect ? RECONNECT_WINDOW_MS : 0)
}
