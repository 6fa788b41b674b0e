/** Opens the screen of a server for the commands that look at it and type. */
import { openScreen, type Screen } from '@oriel/console'
import { WebSocket } from 'ws'
import { createConsole } from '../cloud/create-console.ts'
import { findServer, type Server } from '../cloud/servers.ts'
import type { Cloud } from '../cloud/sign-in.ts'
import { trustOf } from '../console/dial.ts'

/** A server and its screen. */
export interface ServerScreen extends AsyncDisposable {
  readonly server: Server
  readonly screen: Screen
}

export interface OpenOptions {
  /** Whether to open the console again if the machine or the proxy restarts meanwhile. Default: false. */
  readonly reconnect?: boolean
}

/** Opens the screen of the server with this name or id. @throws Failure, or an error of the SDK or the console */
export async function openServerScreen(cloud: Cloud, wanted: string, options: OpenOptions = {}): Promise<ServerScreen> {
  const server = await findServer(cloud.client, wanted)
  // Its failures name the server, and say which command helps.
  const creator = { createConsole: () => createConsole(cloud, server, 'novnc') }
  const trust = trustOf(cloud)
  const screen = await openScreen(creator as never, server.id, {
    ...options,
    openTimeoutMs: cloud.timeoutMs,
    webSocket: (address, protocols) => new WebSocket(address, protocols, { perMessageDeflate: false, ...trust }),
  })
  return { server, screen, [Symbol.asyncDispose]: () => screen.close() }
}
