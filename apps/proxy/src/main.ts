/** `oriel-proxy`: the proxy alone, with the console pages beside the program. */
import {
  authorityOnlineFaults,
  describeProtection,
  fleetSignals,
  listenKeys,
  proxyConfig,
  refineProxyConfig,
  reloadableProxyKeys,
  startFleet,
  stopDeadlineMs,
} from '@oriel/proxy'
import { runProgram } from '@oriel/runtime'
import { pages } from './pages.ts'

await runProgram({
  name: 'oriel-proxy',
  schema: proxyConfig,
  refine: refineProxyConfig,
  checkOnline: authorityOnlineFaults,
  describe: describeProtection,
  reloadable: reloadableProxyKeys,
  listenKeys,
  signals: fleetSignals(),
  stopDeadlineMs,
  start: (config, { log }) => startFleet(config, { log, pages }),
})
