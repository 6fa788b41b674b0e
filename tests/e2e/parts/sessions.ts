/** Configures api and proxy for tests of sessions, and opens consoles through them. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Client, createClient, type Session, staticToken } from '@oriel/sdk'
import type { ScriptedServer } from '@oriel/testkit'
import { WebSocket } from 'ws'
import { type PairOptions, SERVICE_TOKEN, type ServerEntry } from './oriel.ts'
import { asViewer, type Viewer } from './rfb.ts'

/**
 * Short, so that a proxy counts as lost after six seconds instead of fifteen. A busy machine would miss shorter ones.
 */
export const BEAT_SECONDS = 2
export const LOST_AFTER_MS = 3 * BEAT_SECONDS * 1000

type Toml = Record<string, unknown>

/** Returns the tables of api.toml and proxy.toml for an api on `apiPort`. */
export const sessionTables = (apiPort: number, proxyId?: string): Required<Pick<PairOptions, 'api' | 'proxy'>> => ({
  api: { sessions: { beat_seconds: BEAT_SECONDS } },
  proxy: { authority: orielAuthority(apiPort, proxyId) },
})

export const orielAuthority = (apiPort: number, proxyId?: string): Toml => ({
  kind: 'oriel',
  endpoint: `http://127.0.0.1:${apiPort}`,
  timeout_ms: 20_000,
  auth: { method: 'token', token: SERVICE_TOKEN },
  ...(proxyId !== undefined && { proxy_id: proxyId }),
})

export const clientOf = (apiPort: number, token: string): Client =>
  createClient({ endpoint: `http://127.0.0.1:${apiPort}/v2.1`, auth: staticToken(token) })

export const serverAt = (id: string, { host, port }: Pick<ScriptedServer, 'host' | 'port'>): ServerEntry => ({
  ...{ id, name: `name of ${id.slice(-2)}` },
  consoles: { vnc: { host, port } },
})

export interface OpenConsole extends Disposable {
  readonly token: string
  readonly viewer: Viewer
  readonly closed: Promise<{ readonly code: number; readonly text: string }>
  /** Closes the console as a user does. Resolves when the connection is closed. */
  close(): Promise<void>
}

/** Creates a console, and returns its path with the token. */
export async function mint(client: Client, serverId: string): Promise<string> {
  return pathOf((await client.createConsole(serverId, 'novnc')).url)
}

/** Returns the path that the page of an access URL dials. */
export const pathOf = (url: string) => new URL(url).searchParams.get('path')!

/** Returns the path without the server's id, so that a balancer distributes its dials in turn. */
export const distributed = (path: string) => `?token=${tokenIn(path)}`

export const tokenIn = (path: string) => new URLSearchParams(path.slice(path.indexOf('?'))).get('token')!

/** Opens the console at `path` through the proxy at `port`, up to the end of the RFB handshake. */
export async function open(port: number, path: string): Promise<OpenConsole> {
  const socket = dial(port, path)
  const closed = once(socket, 'close').then(([code, text]) => ({ code, text: String(text) }))
  closed.catch(() => {}) // the handshake reports the error
  const viewer = await asViewer(socket)
  return {
    ...{ token: tokenIn(path), viewer, closed },
    async close() {
      socket.close(1000)
      await closed
    },
    [Symbol.dispose]: () => socket.terminate(),
  }
}

/** Opens the console at `path`, and returns the status of the proxy's refusal. */
export async function refused(port: number, path: string): Promise<number | undefined> {
  const { response, leave } = await unopened(port, path)
  leave()
  return response.statusCode
}

/** Opens the console at `path`, and returns the proxy's refusal. */
export async function refusalOf(port: number, path: string): Promise<{ status: number | undefined; text: string }> {
  const { response, leave } = await unopened(port, path)
  const [fault] = Object.values(JSON.parse(await text(response)) as Record<string, { readonly message: string }>)
  leave()
  return { status: response.statusCode, text: fault!.message }
}

async function unopened(port: number, path: string) {
  const socket = dial(port, path)
  const [request, response] = (await once(socket, 'unexpected-response')) as [{ destroy(): void }, IncomingMessage]
  return { response, leave: () => request.destroy() }
}

const dial = (port: number, path: string) => new WebSocket(`ws://127.0.0.1:${port}/${path}`, ['binary'])

/** Polls until `fits` accepts sessions, and returns them: lists lag by up to a heartbeat. */
export async function sessionsOnce(
  list: () => Promise<readonly Session[]>,
  fits: (sessions: readonly Session[]) => boolean,
): Promise<readonly Session[]> {
  for (;;) {
    const sessions = await list()
    if (fits(sessions)) return sessions
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
