/** The API in this process, with sources and stores that can be made to fail. */
import {
  ApiConfig,
  type ConsoleAuthTokenStore,
  createApi,
  createStaticAuthenticator,
  listen,
  openStores,
  StoreUnavailable,
} from '@oriel/api'
import { createLogger, loadConfig } from '@oriel/runtime'
import { settingsFile } from './settings.ts'
import type { Controls, Subject } from './subject.ts'
import type { Setup } from './vectors.ts'
import type { WorldServer } from './world.ts'
import { createWorldSource, type WorldSource } from './world-source.ts'

/** Starts an API with the options of `setup` and these servers, in the states and with the drivers of the recordings. */

export async function startInProcessSubject(setup: Setup, servers: readonly WorldServer[]): Promise<Subject> {
  await using scope = new AsyncDisposableStack()
  const config = loadConfig(ApiConfig, { toml: settingsFile(setup, 'sqlite::memory:', [], () => '') })
  const log = createLogger({ name: 'conformance', level: 'silent' })
  const source = scope.use(createWorldSource(servers))
  const stores = scope.use(await openStores(config.tokens.store))
  const tokens = breakable(stores.tokens)
  const authenticator = scope.use(createStaticAuthenticator(config.auth.static!))
  const api = createApi({ ...stores, config, authenticator, source, tokens, log })
  const { limits } = config
  const listener = scope.use(
    await listen(api.fetch, {
      listen: config.listen,
      headerTimeoutMs: limits.header_timeout_seconds * 1000,
      requestTimeoutMs: limits.request_timeout_seconds * 1000,
      drainMs: 0,
      log,
    }),
  )
  const all = scope.move()
  return {
    address: listener.address,
    controls: controls(source, tokens),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

interface BreakableStore extends ConsoleAuthTokenStore {
  broken: boolean
}

function breakable(store: ConsoleAuthTokenStore): BreakableStore {
  const working = async () => {
    if (tokens.broken) throw new StoreUnavailable('every cell database fails')
    return store
  }
  const tokens: BreakableStore = {
    ...store,
    broken: false,
    authorize: async (grant) => (await working()).authorize(grant),
    find: async (token) => (await working()).find(token),
  }
  return tokens
}

function controls(source: WorldSource, tokens: BreakableStore): Controls {
  return {
    authorize: async (grant) => (await tokens.authorize(grant)).token,
    privateServer() {
      const { id } = source.add('active')
      return {
        id,
        delete: () => source.change(id, { vmState: 'deleted' }),
        stop: () => source.change(id, { vmState: 'stopped' }),
      }
    },
    driverFails(error) {
      source.failure = error
    },
    storeFails(fails) {
      tokens.broken = fails
    },
  }
}
