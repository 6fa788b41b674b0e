/** Opens the screen of a server for the commands that look at it and type. */
import { openScreen, type Screen } from '@oriel/console'
import { creatorOf, type Role } from '../cloud/create-console.ts'
import { findServer, type Server } from '../cloud/servers.ts'
import type { Cloud } from '../cloud/sign-in.ts'
import { webSocketOf } from '../console/dial.ts'

/** A server and its screen. */
export interface ServerScreen extends AsyncDisposable {
  readonly server: Server
  readonly screen: Screen
}

export interface OpenOptions {
  /** Whether to open the console again if the machine or the proxy restarts meanwhile. Default: false. */
  readonly reconnect?: boolean
  /** Default: `control`. */
  readonly role?: Role
  /** Ends the opening. */
  readonly signal?: AbortSignal
}

/** Opens the screen of the server with this name or id. @throws Failure, or an error of the SDK or the console */
export async function openServerScreen(cloud: Cloud, wanted: string, options: OpenOptions = {}): Promise<ServerScreen> {
  const server = await findServer(cloud.client, wanted)
  const screen = await openScreenOf(cloud, server, options)
  return { server, screen, [Symbol.asyncDispose]: () => screen.close() }
}

/** Opens the screen of a server. @throws Failure, or an error of the SDK or the console */
export function openScreenOf(cloud: Cloud, server: Server, { role, ...options }: OpenOptions): Promise<Screen> {
  return openScreen(creatorOf(cloud, server, 'novnc', role), server.id, {
    ...options,
    openTimeoutMs: cloud.timeoutMs,
    webSocket: webSocketOf(cloud),
  })
}
