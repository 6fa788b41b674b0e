/** Starts the whole of Oriel as one program for one real guest, and opens that guest's consoles. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { OpenableConsoleType } from '@oriel/contract'
import { createClient, staticToken } from '@oriel/sdk'
import { freePort } from '@oriel/testkit'
import { expect, vi } from 'vitest'
import { WebSocket } from 'ws'
import { apiConfig, MEMBER_TOKEN, merge, PROJECT, startApp } from './oriel.ts'

export const GUEST_ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
export const GUEST_NAME = 'web-1'
/** The types that are opened with a WebSocket. */
export const WEB_TYPES = ['novnc', 'serial', 'spice-html5'] as const satisfies readonly OpenableConsoleType[]

/** Returns a static source of the guest. */
export const staticSource = (consoles: object) => ({
  kind: 'static',
  servers: [{ id: GUEST_ID, name: GUEST_NAME, project_id: PROJECT, consoles }],
})

export interface OneGuestOptions {
  readonly source: object
  readonly hypervisor: object
  /** A folder with the certificate of native SPICE, which is served only then. */
  readonly spice?: { readonly folder: string }
}

/** Starts api and proxy as one program, whose only server is the guest {@link GUEST_ID} of `source`. */
export async function startOneGuest({ source, hypervisor, spice }: OneGuestOptions) {
  await using scope = new AsyncDisposableStack()
  const [apiPort, proxyPort, spicePort] = [await freePort(), await freePort(), await freePort()]
  const origin = `127.0.0.1:${proxyPort}`
  const consoles = {
    novnc: { base_url: `http://${origin}/novnc/vnc_lite.html` },
    serial: { base_url: `ws://${origin}/serial/` },
    'spice-html5': { base_url: `http://${origin}/spice-html5/spice_auto.html` },
    'spice-direct': { base_url: `http://${origin}/spice-direct/nova` },
  }
  const tls = spice && {
    cert_file: join(spice.folder, 'server-cert.pem'),
    key_file: join(spice.folder, 'server-key.pem'),
    ca_file: join(spice.folder, 'ca-cert.pem'),
  }
  const native = tls && { spice: { tls_listen: `127.0.0.1:${spicePort}`, public_host: '127.0.0.1', tls } }
  const oriel = scope.use(
    await startApp('oriel', {
      api: merge(apiConfig(apiPort, proxyPort, []), { consoles, sources: [source] }),
      proxy: {
        listen: [{ address: origin, consoles: native ? [...WEB_TYPES, 'spice-direct'] : WEB_TYPES }],
        ...native,
        admin: { listen: '127.0.0.1:0' },
        hypervisor,
      },
    }),
  )
  await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
  const client = createClient({ endpoint: `http://127.0.0.1:${apiPort}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
  await vi.waitFor(async () => expect((await client.at('2.1').listServers({})).servers).toHaveLength(1), 10_000)
  const url = async (type: OpenableConsoleType) => (await client.createConsole(GUEST_ID, type)).url
  const admin = await oriel.waitForLog(({ msg }) => msg === 'admin listening')
  const rest = scope.move()
  return {
    client,
    /** The compute endpoint. */
    endpoint: `http://127.0.0.1:${apiPort}/v2.1`,
    records: oriel.records,
    folder: oriel.folder,
    waitForLog: oriel.waitForLog.bind(oriel),
    /** Everything that the program has printed. */
    printed: () => JSON.stringify([oriel.records, oriel.otherLines, oriel.stderr]),
    /** Has the program read its configuration again. */
    reload: () => process.kill(oriel.pid, 'SIGHUP'),
    /** Returns the list of sessions. */
    sessions: async () => JSON.stringify(await client.oriel.listSessions({ query: {} })),
    dial: async (type: OpenableConsoleType) => dial(webSocketUrl(await url(type))),
    admin: async (path: string) => (await fetch(`http://${admin.address}/${path}`)).text(),
    /** Returns the proxy's port and the password in the console file of spice-direct. */
    async consoleFile() {
      const response = await fetch(await url('spice-direct'))
      const text = await response.text()
      if (!response.ok) throw new Error(`${response.status}`)
      return { port: spicePort, password: /^password=(.*)$/m.exec(text)![1]! }
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** Returns the URL of the WebSocket that the page at `url` opens. */
export function webSocketUrl(url: string): string {
  const { host, pathname, searchParams, search } = new URL(url)
  const token = /token=([\w-]+)/.exec(decodeURIComponent(searchParams.get('path') ?? search))![1]!
  return `ws://${host}${pathname.replace(/[^/]*$/, '')}?token=${token}`
}

/** Connects a WebSocket and collects what it receives. */
export function dial(url: string) {
  const socket = new WebSocket(url, ['binary']).on('error', () => {})
  const received: Buffer[] = []
  socket.on('message', (data: Buffer) => received.push(data))
  return {
    socket,
    text: () => Buffer.concat(received).toString('latin1'),
    closed: new Promise<void>((resolve) => socket.once('close', () => resolve())),
    /** Resolves with the status of a refusal. */
    async status() {
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
      response.resume()
      return response.statusCode
    },
    [Symbol.dispose]: () => socket.terminate(),
  }
}
