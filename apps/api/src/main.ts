/** `oriel-api`: the API alone. */
import { ApiConfig, refineApiConfig, reloadableApiKeys, startApi } from '@oriel/api'
import { runProgram } from '@oriel/runtime'

await runProgram({
  name: 'oriel-api',
  schema: ApiConfig,
  refine: refineApiConfig,
  reloadable: reloadableApiKeys,
  start: (config, { log, signal }) => startApi(config, { log, signal }),
})
