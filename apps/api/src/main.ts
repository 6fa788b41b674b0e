/** `oriel-api`: the API without the proxy. */
import {
  ApiConfig,
  apiHealthListener,
  apiListenKeys,
  checkApiOnline,
  refineApiConfig,
  reloadableApiKeys,
  startApi,
} from '@oriel/api'
import { runProgram } from '@oriel/runtime'
import manifest from '../package.json' with { type: 'json' }

await runProgram({
  name: 'oriel-api',
  version: manifest.version,
  schema: ApiConfig,
  refine: refineApiConfig,
  checkOnline: checkApiOnline,
  reloadable: reloadableApiKeys,
  listenKeys: apiListenKeys,
  healthListener: apiHealthListener,
  start: (config, { log, signal }) => startApi(config, { log, signal }),
})
