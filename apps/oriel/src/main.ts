/** `oriel`: api and proxy in one process. */
import { randomUUID } from 'node:crypto'
import { reloadableApiKeys, startApi } from '@oriel/api'
import { describeProtection, reloadableProxyKeys, startProxy } from '@oriel/proxy'
import { runProgram, Secret, type StartContext, type Started } from '@oriel/runtime'
import manifest from '../package.json' with { type: 'json' }
import {
  apiPart,
  authorityAt,
  checkOrielOnline,
  isUnauthenticated,
  OrielConfig,
  orielHealthListener,
  orielListenKeys,
  proxyPart,
  refineOrielConfig,
} from './config.ts'
import { originOf, withFreePorts, withPreviousPorts } from './console-addresses.ts'
import { demoConfig, startDemo } from './demo.ts'
import { pages } from './pages.ts'

await runProgram({
  name: 'oriel',
  version: manifest.version,
  schema: OrielConfig,
  refine: refineOrielConfig,
  listenKeys: orielListenKeys,
  healthListener: orielHealthListener,
  checkOnline: checkOrielOnline,
  describe: ({ api, proxy }) =>
    describeProtection({ ...proxy, authority: proxy.authority ?? authorityAt(`http://${api.listen}`) }),
  reloadable: [...reloadableApiKeys.map((key) => `api.${key}`), ...reloadableProxyKeys.map((key) => `proxy.${key}`)],
  flags: { demo: 'add demo guests on loopback; needs no --config' },
  builtInConfig: (flags) => (flags.demo ? demoConfig : undefined),
  start,
})

async function start(
  config: OrielConfig,
  { log, flags, scope, signal }: StartContext,
): Promise<Started<typeof OrielConfig>> {
  const listen = await withFreePorts(config.proxy.listen)
  const settled = { ...config, proxy: { ...config.proxy, listen } }
  const demo = flags.demo ? [scope.use(await startDemo(log)).source] : []
  const internal = new Secret(randomUUID())
  const api = scope.use(await startApi(apiPart(settled, demo), { log: log.child({ part: 'api' }), internal, signal }))
  const proxy = scope.use(
    await startProxy(proxyPart(settled, api, internal), {
      ...{ log: log.child({ part: 'proxy' }), pages, unauthenticated: isUnauthenticated(settled) },
    }),
  )
  for (const listener of listen) log.info({ address: listener.address }, `open ${originOf(listener)}/`)
  return {
    reload: (read) => {
      const next = {
        ...read,
        proxy: { ...read.proxy, listen: withPreviousPorts(config.proxy.listen, listen, read.proxy.listen) },
      }
      api.reload(apiPart(next, demo))
      proxy.reload(proxyPart(next, api, internal))
    },
    // `scope` disposes everything.
    [Symbol.asyncDispose]: async () => {},
  }
}
