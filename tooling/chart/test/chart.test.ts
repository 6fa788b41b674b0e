/** The chart in deploy/helm/oriel, rendered by the real Helm. */
import { ApiConfig } from '@oriel/api'
import { proxyConfig } from '@oriel/proxy'
import { requires } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { chart, examples, find, helm, type Manifest, render, renderWith, valuesOf } from './parts/helm.ts'
import { apiOf, mountedFiles, proxyOf } from './parts/programs.ts'
import { schemaFaults, unknownFields } from './parts/schemas.ts'

const { skip, reason } = requires('helm')
/** Sets the first listener. Helm replaces a list as a whole, so an element needs all its keys. */
const listening = (consoles: string) =>
  `proxy.config.listen[0].address=0.0.0.0:6080,proxy.config.listen[0].consoles={${consoles}}`
const all: (string | undefined)[] = [undefined, ...examples]

/** A setting for each secret key of the configurations. */
const secretSettings = [
  'proxy.config.authority.auth.token=x',
  'proxy.config.authority.auth.password=x',
  'proxy.config.authority.auth.application_credential_secret=x',
  'proxy.config.hypervisor.vnc.password=x',
  'proxy.config.hypervisor.spice.password=x',
  'proxy.config.sessions.resume_key=x',
  `${listening('novnc')},proxy.config.listen[0].tls.key=-----BEGIN PRIVATE KEY-----`,
  'proxy.config.spice.tls.key=-----BEGIN EC PRIVATE KEY-----',
  'proxy.config.hypervisor.vnc.key=-----BEGIN PRIVATE KEY-----',
  'api.config.tls.key=-----BEGIN PRIVATE KEY-----',
  'api.config.tokens.store=postgres://oriel:x@db/oriel',
  'api.config.auth.keystone.password=x',
  'api.config.auth.keystone.application_credential_secret=x',
  'api.config.sources[0].servers[0].consoles.vnc.password=x',
]

describe.skipIf(skip)(`the Helm chart${reason}`, () => {
  it.each(all)('passes helm lint --strict with the values %s', async (example) => {
    expect(await helm('lint', '--strict', chart, ...valuesOf(example))).toContain('0 chart(s) failed')
  })

  it.each(all)('renders objects that the schemas of Kubernetes accept, with the values %s', async (example) => {
    const manifests = await render(...valuesOf(example))
    expect((await Promise.all(manifests.map(schemaFaults))).flat()).toEqual([])
  })

  it('renders no field that a kind does not have', async () => {
    const manifests = (await Promise.all(all.map((example) => render(...valuesOf(example))))).flat()
    expect(unknownFields(manifests)).toBe('')
    const kinds = new Set(manifests.map(({ kind }) => kind))
    expect([...kinds].toSorted()).toEqual([
      ...['ConfigMap', 'Deployment', 'HTTPRoute', 'HorizontalPodAutoscaler', 'Ingress', 'NetworkPolicy'],
      ...['PodDisruptionBudget', 'Service', 'ServiceMonitor'],
    ])
    const typo = structuredClone(find(manifests, 'Ingress', 'oriel-proxy'))
    typo.spec.rules[0].http.paths[0].pathTyp = 'Prefix'
    expect(unknownFields([typo])).toContain('pathTyp')
  })

  it.each(all)('writes configurations that the programs accept, with the values %s', async (example) => {
    const manifests = await render(...valuesOf(example))
    await using files = await mountedFiles(manifests)
    expect(proxyOf(manifests, files).listen.length).toBeGreaterThan(0)
    if (example !== 'nova') expect(apiOf(manifests, files).listen).toBe('0.0.0.0:8774')
  })

  it('gives the API the URLs under which the proxy serves its consoles', async () => {
    const manifests = await render()
    await using files = await mountedFiles(manifests)
    const { consoles } = apiOf(manifests, files)
    expect(Object.entries(consoles).filter(([, { enabled }]) => enabled)).toEqual([
      ['novnc', { enabled: true, base_url: 'https://consoles.example/novnc/vnc_lite.html' }],
      ['spice-html5', { enabled: true, base_url: 'https://consoles.example/spice-html5/spice_auto.html' }],
      ['serial', { enabled: true, base_url: 'wss://consoles.example/serial/' }],
    ])
    const alone = await renderWith(
      'proxy.config.listen[0].address=[::]:7080',
      'proxy.config.listen[0].consoles={serial}',
    )
    expect(apiOf(alone, files).consoles).toMatchObject({
      serial: { enabled: true, base_url: 'wss://consoles.example/' },
      novnc: { enabled: false },
    })
    expect(find(alone, 'Service', 'oriel-proxy').spec.ports).toEqual([
      { name: 'consoles-7080', port: 7080, targetPort: 'consoles-7080' },
    ])
  })

  it('leads the proxy to the API of the release, and to another one if configured', async () => {
    const manifests = await render()
    await using files = await mountedFiles(manifests)
    expect(proxyOf(manifests, files).authority.endpoint).toBe('http://oriel-api:8774/v2.1')
    const moved = await renderWith('api.service.port=80')
    expect(proxyOf(moved, files).authority.endpoint).toBe('http://oriel-api:80/v2.1')
    expect(find(moved, 'Service', 'oriel-api').spec.ports).toEqual([{ name: 'api', port: 80, targetPort: 'api' }])
    const secure = await renderWith('api.config.tls.cert=/run/tls/tls.crt')
    expect(proxyOf(secure, files).authority.endpoint).toBe('https://oriel-api:8774/v2.1')
    const certified = await renderWith('api.tls.existingSecret=api-tls', 'api.tls.ca.name=api-tls')
    await using certificates = await mountedFiles(certified)
    expect(apiOf(certified, certificates).tls).toMatchObject({ cert: expect.stringContaining('BEGIN CERTIFICATE') })
    expect(proxyOf(certified, certificates).authority).toMatchObject({
      endpoint: 'https://oriel-api:8774/v2.1',
      cafile: expect.stringContaining('BEGIN CERTIFICATE'),
    })
    const other = await renderWith('api.enabled=false', 'proxy.config.authority.endpoint=https://api.example/v2.1')
    expect(proxyOf(other, files).authority).toMatchObject({ kind: 'oriel', endpoint: 'https://api.example/v2.1' })
  })

  it('lets the API take screenshots at the Service of the proxy, or at its public name if it has a certificate', async () => {
    const manifests = await render()
    await using files = await mountedFiles(manifests)
    const proxyUrlOf = async (...settings: string[]) =>
      apiOf(await renderWith(...settings), files).screenshots.proxy_url
    expect(await proxyUrlOf()).toBe('http://oriel-proxy:6080/novnc/vnc_lite.html')
    expect(await proxyUrlOf(listening('novnc'), 'proxy.service.ports.6080=80')).toBe(
      'http://oriel-proxy:80/vnc_lite.html',
    )
    expect(await proxyUrlOf('api.config.screenshots.proxy_url=http://10.0.0.9/vnc_lite.html')).toContain('10.0.0.9')
    for (const setting of [listening('serial'), 'proxy.tls.existingSecret=tls', 'proxy.enabled=false'])
      expect([setting, await proxyUrlOf(setting)]).toEqual([setting, undefined])
  })

  it('lets the API reach the proxies, and the proxies the API, through network policies with other peers', async () => {
    const manifests = await render(...valuesOf('ingress'))
    const policies = (['api', 'proxy'] as const).map((name) => find(manifests, 'NetworkPolicy', `oriel-${name}`).spec)
    const peer = (name: string) => ({
      podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': name }) },
    })
    const [api, proxy] = policies as [Manifest, Manifest]
    expect(api.ingress[0].from[0]).toEqual(peer('proxy'))
    expect(api.egress[1]).toEqual({ to: [peer('proxy')] })
    expect(proxy.ingress[0].from[0]).toEqual(peer('api'))
  })

  it.each(all)('runs pods without rights, with the values %s', async (example) => {
    for (const { spec } of pods(await render(...valuesOf(example)))) {
      expect(spec).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
      })
      expect(spec.containers).toHaveLength(1)
      expect(spec.containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  })

  it.each(all)('mounts all Secrets as files and renders none, with the values %s', async (example) => {
    const manifests = await render(...valuesOf(example))
    expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([])
    for (const { spec } of pods(manifests)) {
      expect(JSON.stringify(spec.containers)).not.toContain('secretKeyRef')
      const secrets = spec.volumes.find(({ name }: { name: string }) => name === 'secrets')
      expect(secrets.projected.defaultMode).toBe(0o440)
    }
  })

  it.each([
    ['api', 6078],
    ['proxy', 6079],
  ])('asks the admin listener of %s for its health, and no public Service has that port', async (name, port) => {
    const manifests = await render()
    const [container] = find(manifests, 'Deployment', `oriel-${name}`).spec.template.spec.containers
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'admin' })
    expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'admin' })
    expect(container.ports).toContainEqual({ name: 'admin', containerPort: port })
    expect(JSON.stringify(find(manifests, 'Service', `oriel-${name}`).spec.ports)).not.toContain('admin')
    const { spec, metadata } = find(manifests, 'Service', `oriel-${name}-admin`)
    expect(spec).toMatchObject({ clusterIP: 'None', ports: [{ name: 'admin', port }] })
    const monitor = find(await render(...valuesOf('ingress')), 'ServiceMonitor', `oriel-${name}`).spec
    expect(metadata.labels).toMatchObject(monitor.selector.matchLabels)
    expect(monitor.endpoints[0]).toMatchObject({ port: 'admin', relabelings: [{ replacement: `oriel-${name}` }] })
  })

  it('lets only the configured peers reach the admin listeners', async () => {
    const manifests = await render(...valuesOf('ingress'))
    const monitoring = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }]
    for (const [name, port] of [
      ['api', 6078],
      ['proxy', 6079],
    ] as const) {
      const [clients, metrics] = find(manifests, 'NetworkPolicy', `oriel-${name}`).spec.ingress
      expect(metrics).toEqual({ from: monitoring, ports: [{ port }] })
      expect(clients.ports).not.toContainEqual({ port })
    }
  })

  it.each(all)('connects Services and policies to pods and ports that exist, with the values %s', async (example) => {
    const manifests = await render(...valuesOf(example))
    for (const service of manifests.filter(({ kind }) => kind === 'Service')) {
      const { ports } = podOf(manifests, service.spec.selector).containers[0]
      const names = ports.map(({ name }: { name: string }) => name)
      for (const { targetPort } of service.spec.ports) expect(names).toContain(targetPort)
    }
    for (const policy of manifests.filter(({ kind }) => kind === 'NetworkPolicy' || kind === 'PodDisruptionBudget')) {
      podOf(manifests, (policy.spec.podSelector ?? policy.spec.selector).matchLabels)
    }
  })

  it('gives a pod longer than the program drains, and refuses less', async () => {
    const graceOf = async (...settings: string[]) =>
      find(await renderWith(...settings), 'Deployment', 'oriel-proxy').spec.template.spec.terminationGracePeriodSeconds
    expect(await graceOf()).toBe(5 + 30 + 15)
    expect(await graceOf('proxy.config.sessions.drain_seconds=600', 'proxy.preStopSeconds=10')).toBe(10 + 600 + 15)
    expect(await graceOf('proxy.terminationGracePeriodSeconds=300')).toBe(300)
    await expect(graceOf('proxy.terminationGracePeriodSeconds=49')).rejects.toThrow(
      'proxy.terminationGracePeriodSeconds is 49: give at least 50, which is preStopSeconds + sessions.drain_seconds + 15',
    )
    await expect(renderWith('api.terminationGracePeriodSeconds=49')).rejects.toThrow('limits.drain_seconds')
  })

  it('replaces the pods of a program whose configuration changes, and only those', async () => {
    const checksums = async (...settings: string[]) =>
      pods(await renderWith(...settings)).map(({ metadata }) => metadata.annotations['checksum/config'])
    const [api, proxy] = await checksums()
    expect(await checksums('proxy.config.sessions.max_total=5000')).toEqual([api, expect.not.stringMatching(proxy!)])
    expect(await checksums('api.config.limits.drain_seconds=10')).toEqual([expect.not.stringMatching(api!), proxy])
  })

  it('writes the address of the node into .vv files if the pods use its ports', async () => {
    const manifests = await render(...valuesOf('native-spice'))
    const [container] = find(manifests, 'Deployment', 'oriel-proxy').spec.template.spec.containers
    expect(container.ports).toContainEqual({ name: 'spice-tls', containerPort: 13003, hostPort: 13003 })
    await using files = await mountedFiles(manifests)
    expect(proxyOf(manifests, files).spice).toMatchObject({ public_host: '10.0.0.9' })
    const one = await render(...valuesOf('native-spice'), '--set', 'proxy.nativeSpice.hostPort=false,proxy.replicas=1')
    expect(find(one, 'Service', 'oriel-proxy-spice').spec).toMatchObject({
      type: 'LoadBalancer',
      ports: [{ name: 'spice-tls', port: 13003, targetPort: 'spice-tls' }],
    })
  })

  it('installs the API alone and the proxy alone', async () => {
    const names = async (...settings: string[]) => (await renderWith(...settings)).map(({ metadata }) => metadata.name)
    expect(new Set(await names('proxy.enabled=false'))).toEqual(new Set(['oriel-api', 'oriel-api-admin']))
    const alone = await names('api.enabled=false', 'proxy.config.authority.kind=nova')
    expect(new Set(alone)).toEqual(new Set(['oriel-proxy', 'oriel-proxy-admin']))
  })

  it.each([
    ['proxy.replica=3', "additional properties 'replica' not allowed"],
    ['proxy.publicUrl=consoles.example', '/proxy/publicUrl'],
    ['proxy.publicUrl=https://consoles.example/oriel', '/proxy/publicUrl'],
    ['proxy.config.listen[0].address=6080', '/proxy/config/listen/0/address'],
    ['proxy.image.digest=latest', '/proxy/image/digest'],
    ['api.enabled=false', 'proxy.config.authority: without the API of this release, set kind and endpoint'],
    ['api.replicas=2', 'api.replicas: several pods need a database server.'],
    ['api.autoscaling.enabled=true', 'api.replicas: several pods need a database server.'],
    ['api.ingress.enabled=true', 'api.publicUrl is missing: the Ingress needs its host'],
    ['api.httpRoute.enabled=true', 'api.publicUrl is missing: the HTTPRoute needs its host'],
    ['proxy.httpRoute.enabled=true', 'proxy.httpRoute.parentRefs is empty: name the Gateway'],
    [listening('spice-direct'), 'proxy.config.spice: a listener serves spice-direct'],
    [
      `${listening('spice-direct')},proxy.config.spice.listen=0.0.0.0:5900`,
      'proxy.replicas: only the pod that served a .vv file accepts its ticket.',
    ],
    [
      `${listening('novnc')},proxy.config.listen[1].address=0.0.0.0:6090,proxy.config.listen[1].consoles={webmks}`,
      'api.config.consoles.webmks.base_url is missing',
    ],
    [
      'api.secrets.auth\\.static\\.tokens\\.3\\.sha256.name=a,api.secrets.auth\\.static\\.tokens\\.3\\.sha256.key=b',
      'no element 3',
    ],
  ])('refuses %s', async (setting, message) => {
    await expect(renderWith(setting)).rejects.toThrow(message)
  })

  it.each(secretSettings)('refuses the secret in %s, and names its place without its value', async (setting) => {
    const [key, value] = setting.split(',').at(-1)!.split(/=(.*)/)
    const refused = renderWith(setting)
    await expect(refused).rejects.toThrow(`${key} `)
    await expect(refused).rejects.toThrow(`put it into a Secret, and name that in ${key!.split('.')[0]}.secrets`)
    if (value !== 'x') await expect(refused).rejects.not.toThrow(value)
  })
})

it('has a setting for each secret of the configurations, but digests', () => {
  const keys = secretSettings.map((setting) => setting.split(',').at(-1)!.split('=')[0]!)
  const secrets = [...secretKeys(ApiConfig, 'api.config'), ...secretKeys(proxyConfig, 'proxy.config')]
  expect(keys.toSorted()).toEqual([...new Set(secrets)].filter((key) => !key.endsWith('sha256')).toSorted())
})

interface SchemaNode {
  readonly 'x-oriel-secret'?: boolean
  readonly 'x-oriel-unquoted'?: boolean
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
}

/** The keys whose values the programs never print; `[0]` stands for each element of a list. */
function secretKeys(schema: object, path: string): string[] {
  const { properties = {}, items, anyOf = [], ...marks } = schema as SchemaNode
  return [
    ...(marks['x-oriel-secret'] || marks['x-oriel-unquoted'] ? [path] : []),
    ...Object.entries(properties).flatMap(([key, inner]) => secretKeys(inner, `${path}.${key}`)),
    ...(items ? secretKeys(items, `${path}[0]`) : []),
    ...anyOf.flatMap((inner) => secretKeys(inner, path)),
  ]
}

const pods = (manifests: readonly Manifest[]): Manifest[] =>
  manifests.filter(({ kind }) => kind === 'Deployment').map(({ spec }) => spec.template)

function podOf(manifests: readonly Manifest[], selector: Readonly<Record<string, string>>) {
  const found = pods(manifests).filter(({ metadata }) =>
    Object.entries(selector).every(([label, value]) => metadata.labels[label] === value),
  )
  expect(found).toHaveLength(1)
  return found[0]!.spec
}
