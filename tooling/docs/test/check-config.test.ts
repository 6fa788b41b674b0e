/** Runs `--check-config` of the programs, and compares what the operator reads. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiConfig } from '@oriel/api'
import { proxyConfig } from '@oriel/proxy'
import { programFiles } from '@oriel/runtime'
import { startProgram, temporaryFolder } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { keysOf, type SchemaNode } from './schema-keys.ts'

type App = 'api' | 'proxy' | 'oriel'

/** Runs `--check-config` on a file with this content. Shortens the file's name in the output. */
async function checkConfig(app: App, toml: string) {
  await using folder = await temporaryFolder()
  const config = join(folder.path, 'config.toml')
  await writeFile(config, toml)
  const file = new URL(`../../../apps/${app}/src/main.ts`, import.meta.url).pathname
  const nodeArgs = ['--conditions=@oriel/source']
  await using program = await startProgram({ file, nodeArgs, args: ['--config', config, '--check-config'] })
  const { code } = await program.exited
  return { code, lines: program.stderr.replaceAll(config, 'FILE').trimEnd().split('\n') }
}

const fixture = (app: 'api' | 'proxy') =>
  readFile(new URL(`../../../tests/e2e/fixtures/interface/${app}.toml`, import.meta.url), 'utf8')
const files = {
  api: await fixture('api'),
  proxy: await fixture('proxy'),
  oriel: '[api.auth]\nmethod = "none"\n[[proxy.listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]\n',
}
const API = 'FILE: this is an api.toml: give it to oriel-api'
const PROXY = 'FILE: this is a proxy.toml: give it to oriel-proxy'
const ORIEL = "FILE: this is oriel's own file, with [api] and [proxy]: give it to oriel"

it.each([
  ['proxy', 'api', API],
  ['oriel', 'api', API],
  ['api', 'proxy', PROXY],
  ['oriel', 'proxy', PROXY],
  ['api', 'oriel', ORIEL],
  ['proxy', 'oriel', ORIEL],
] as const)('the program of the %s reports in one line that it got the file of the %s', async (app, file, line) => {
  expect(await checkConfig(app, files[file])).toEqual({ code: 2, lines: [line] })
})

it('a file with a key of its own program is not taken for the file of another program', async () => {
  const { lines } = await checkConfig('proxy', `${files.proxy}\n[auth]\nmethod = "none"\n`)
  expect(lines).toContain('auth: unknown key, the nearest known key is authority.auth')
})

it('every key by which a file is recognised is a top-level key of that file only', () => {
  const [api, proxy] = [ApiConfig, proxyConfig].map((schema) => Object.keys(schema.properties))
  const [ofApi, ofProxy] = programFiles.map(({ ownKeys }) => ownKeys)
  expect(ofApi).toEqual(api!.filter((key) => !proxy!.includes(key)))
  expect(ofProxy).toEqual(proxy!.filter((key) => !api!.includes(key)))
})

it('the api names invalid hosts, origins, roles and URLs, each with a remedy', async () => {
  const { code, lines } = await checkConfig(
    'api',
    `auth.method = "none"
cors.allowed_origins = ["https://portal.example/"]
[[sources]]
kind = "static"
[[sources.servers]]
id = "a"
name = "a"
project_id = "p"
consoles.vnc = { host = "10.0.0.5", port = 5900 }
`,
  )
  expect({ code, lines }).toEqual({
    code: 2,
    lines: [
      'cors.allowed_origins[0]: "https://portal.example/" ends in a slash, drop the slash: "https://portal.example"',
    ],
  })
  const hosts = await checkConfig(
    'api',
    'auth.method = "none"\n[[sources]]\nkind = "qemu"\nqmp = "*"\nproject_id = "p"\nhost = "10.0.0.5:5901"',
  )
  expect(hosts).toEqual({
    code: 2,
    lines: ['sources[0].host: "10.0.0.5:5901" has a port in it, give the host alone: "10.0.0.5"'],
  })
})

it('the api warns about a role that no rule names, and accepts the configuration', async () => {
  const sha256 = '0'.repeat(64)
  const toml = `auth.method = "static"\n[[auth.static.tokens]]\nsha256 = "${sha256}"\nuser_id = "a"\nroles = ["sevrice"]`
  expect(await checkConfig('api', toml)).toEqual({
    code: 0,
    lines: [
      'warning: auth.static.tokens[0].roles[0]: "sevrice": no rule of policy names it; rules name admin, member, reader, service',
    ],
  })
})

it('the proxy names an invalid CIDR and an origin with a slash, each with a remedy', async () => {
  const least = '[authority]\nendpoint = "http://h"\n[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]\n'
  const cidr = await checkConfig('proxy', `${least}[origin]\ntrusted_proxies = ["10.0.0.0/33"]`)
  expect(cidr.lines).toEqual(['origin.trusted_proxies[0]: "10.0.0.0/33" ends in /33, give at most /32 for IPv4'])
  const origin = await checkConfig('proxy', `${least}[origin]\nallowed = ["https://portal.example/"]`)
  expect(origin.lines).toEqual([
    'origin.allowed[0]: "https://portal.example/" ends in a slash, drop the slash: "https://portal.example"',
  ])
})

it.each([
  ['api.toml', ApiConfig],
  ['proxy.toml', proxyConfig],
])('each pattern in %s has a remedy in words, so that no fault shows a regular expression', (_, schema) => {
  const patterns = keysOf(schema as unknown as SchemaNode).filter((key) => key.schema.pattern !== undefined)
  expect(patterns.length).toBeGreaterThan(1)
  const without = patterns.filter(
    (key) => typeof key.schema['x-remedy'] !== 'string' || /\\|\[\^|\$$/.test(key.schema['x-remedy']),
  )
  expect(without.map(({ path }) => path)).toEqual([])
})
