import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseContainerfile } from '../src/containerfile.ts'

const ours = readFileSync(new URL('../../../deploy/image/Containerfile', import.meta.url), 'utf8')
const args = { VERSION: '0.1.0', REVISION: 'abc' }

test('reads our Containerfile', () => {
  const stage = parseContainerfile(ours, args).get('oriel-proxy')!
  expect(stage.copies).toEqual(['rootfs', 'node', 'oriel-proxy'])
  expect(stage.config).toEqual({
    Env: ['PATH=/usr/bin', 'NODE_ENV=production'],
    WorkingDir: '/opt/oriel',
    User: '10001:10001',
    StopSignal: 'SIGTERM',
    Labels: {
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.vendor': 'Oriel',
      'org.opencontainers.image.version': '0.1.0',
      'org.opencontainers.image.revision': 'abc',
      'org.opencontainers.image.title': 'oriel-proxy',
      'org.opencontainers.image.description': 'Proxy for VNC, SPICE and serial consoles',
    },
    ExposedPorts: { '6080/tcp': {}, '6082/tcp': {}, '6083/tcp': {} },
    Healthcheck: {
      Test: ['CMD', '/usr/bin/node', '/opt/oriel/main.js', '--health', '--config', '/etc/oriel/proxy.toml'],
      Interval: 10e9,
      Timeout: 6e9,
      StartPeriod: 30e9,
    },
    Entrypoint: ['/usr/bin/node', '/opt/oriel/main.js'],
    Cmd: ['--config', '/etc/oriel/proxy.toml'],
  })
})

test('keeps later stages apart from their base', () => {
  const stages = parseContainerfile(ours, args)
  expect(stages.get('oriel-api')!.copies).toEqual(['rootfs', 'node', 'oriel-api'])
  expect(stages.get('base')!.config.Labels).not.toHaveProperty('org.opencontainers.image.title')
})

test.each(['RUN apt-get update', 'COPY --from=x a/ /', 'FROM debian AS x', '  USER root'])('rejects "%s"', (line) => {
  expect(() => parseContainerfile(`FROM scratch AS base\n${line}`, {})).toThrow(
    `Containerfile: not supported by npm run image: ${line}`,
  )
})

test('rejects an instruction before the first stage, and an argument without a value', () => {
  expect(() => parseContainerfile('USER 1', {})).toThrow('not supported by npm run image: USER 1')
  expect(() => parseContainerfile('FROM scratch AS a\nLABEL x=$VERSION', {})).toThrow(
    'Containerfile: no value for $VERSION',
  )
})

test('the image with virsh runs the API as its own image does', () => {
  const derived = readFileSync(new URL('../../../deploy/libvirt-hosts/Containerfile', import.meta.url), 'utf8')
  const shared = /^(?:USER|WORKDIR|STOPSIGNAL|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) .*$/gm
  const api = ours.split(/^FROM /m).find((stage) => stage.startsWith('base AS oriel-api\n'))!
  const base = ours.split(/^FROM /m).find((stage) => stage.startsWith('scratch AS base\n'))!
  expect(derived.match(shared)!.toSorted()).toEqual([...base.match(shared)!, ...api.match(shared)!].toSorted())
})
