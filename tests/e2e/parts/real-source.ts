/** Starts the API with a source of real hypervisors, and queries it as a member and as the proxy. */
import { type Client, createClient, NotFound, staticToken } from '@oriel/sdk'
import type { RunningProgram } from '@oriel/testkit'
import { expect } from 'vitest'
import { apiConfig, listening, MEMBER_TOKEN, merge, PROJECT, SERVICE_TOKEN, startApp } from './oriel.ts'

type Protocol = 'vnc' | 'spice' | 'serial'
const types = { vnc: 'novnc', spice: 'spice-direct', serial: 'serial' } as const satisfies Record<Protocol, string>

export interface SourcedApi extends AsyncDisposable {
  readonly program: RunningProgram
  readonly client: Client
  /** The API's URL without a version. */
  readonly endpoint: string
  /** Returns the status of each server by name. */
  statuses(): Promise<Readonly<Record<string, string>>>
  /** Creates a token for a server's console. */
  mint(serverId: string, protocol: Protocol): Promise<string>
  /** Returns the address that the proxy gets for a token, or `undefined` if the token is not valid. */
  connectInfo(
    token: string,
  ): Promise<{ host: string | null; port: number | null; tls_port?: number | null } | undefined>
}

/** Starts the API. `source` is one `[[sources]]` table without an owner, `more` is merged into api.toml. */
export async function startSourcedApi(
  source: Record<string, unknown>,
  env: NodeJS.ProcessEnv = {},
  more: Record<string, unknown> = {},
): Promise<SourcedApi> {
  const place = source.kind === 'static' ? {} : { project_id: PROJECT, host: '127.0.0.1' }
  const config = merge(merge(apiConfig(0, 6080, []), { sources: [{ ...place, ...source }] }), more)
  const program = await startApp('api', config, env)
  const { address } = (await listening(program)) as unknown as { address: string }
  const signedIn = (token: string) => createClient({ endpoint: `http://${address}/v2.1`, auth: staticToken(token) })
  const member = signedIn(MEMBER_TOKEN)
  const service = signedIn(SERVICE_TOKEN).at('2.99')
  return {
    program,
    client: member,
    endpoint: `http://${address}`,
    async statuses() {
      const { servers } = await member.at('2.99').listServersDetail()
      return Object.fromEntries(servers.map(({ name, status }) => [name, status]))
    },
    async mint(serverId, protocol) {
      const body = { remote_console: { protocol, type: types[protocol] } } as never
      const { remote_console } = await member.at('2.99').createRemoteConsole({ server_id: serverId, body })
      const url = new URL(remote_console.url)
      const within = new URLSearchParams(url.searchParams.get('path')?.replace(/^[^?]*\?/, '') ?? url.search)
      return within.get('token')!
    },
    async connectInfo(token) {
      try {
        return (await service.showConsoleAuthToken({ console_token: token })).console
      } catch (error) {
        if (error instanceof NotFound) return undefined
        throw error
      }
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  }
}

/** Waits for states of the list, and measures the usual delay: other load on the machine can prolong a single one. */
export function following({ statuses }: Pick<SourcedApi, 'statuses'>) {
  const delaysMs: number[] = []
  return {
    async becomes(expected: Readonly<Record<string, string>>) {
      const changed = performance.now()
      await expect.poll(statuses, { interval: 50 }).toEqual(expected)
      delaysMs.push(performance.now() - changed)
    },
    usualDelayMs: () => delaysMs.toSorted((a, b) => a - b)[Math.floor(delaysMs.length / 2)]!,
  }
}
