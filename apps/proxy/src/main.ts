/** `oriel-proxy`: the proxy without the API. */
import {
  authorityOnlineFaults,
  describeProtection,
  fleetSignals,
  listenKeys,
  novaConf,
  proxyConfig,
  refineProxyConfig,
  reloadableProxyKeys,
  startFleet,
  stopDeadlineMs,
} from '@oriel/proxy'
import { runProgram } from '@oriel/runtime'
import manifest from '../package.json' with { type: 'json' }
import { pages } from './pages.ts'

await runProgram({
  name: 'oriel-proxy',
  version: manifest.version,
  schema: proxyConfig,
  refine: refineProxyConfig,
  flags: { 'print-nova-conf': 'print the nova.conf options for this configuration and exit' },
  print: (config, flags) => (flags['print-nova-conf'] ? novaConf(config) : undefined),
  checkOnline: authorityOnlineFaults,
  describe: describeProtection,
  reloadable: reloadableProxyKeys,
  listenKeys,
  healthListener: ({ admin }) => ({ path: 'admin.listen', address: admin?.listen }),
  signals: fleetSignals(),
  stopDeadlineMs,
  start: (config, { log }) => startFleet(config, { log, pages }),
})
