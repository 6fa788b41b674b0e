/** `oriel-api`: the API without the proxy. */
import { ApiConfig, checkApiOnline, refineApiConfig, reloadableApiKeys, startApi } from '@oriel/api'
import { runProgram } from '@oriel/runtime'

await runProgram({
  name: 'oriel-api',
  schema: ApiConfig,
  refine: refineApiConfig,
  checkOnline: checkApiOnline,
  reloadable: reloadableApiKeys,
  listenKeys: ({ listen }) => [{ path: 'listen', address: listen }],
  healthListener: ({ listen }) => ({ path: 'listen', address: listen }),
  start: (config, { log, signal }) => startApi(config, { log, signal }),
})
