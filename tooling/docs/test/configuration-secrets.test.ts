import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { ApiConfig, refineApiConfig } from '@oriel/api'
import { proxyConfig, refineProxyConfig } from '@oriel/proxy'
import { ConfigError, loadConfig } from '@oriel/runtime'
import { startProgram, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { keysOf, type SchemaNode } from './schema-keys.ts'

type Table = { [key: string]: unknown }

/** A key whose value must not be printed, in a configuration that is otherwise valid. */
interface SecretKey {
  readonly path: string
  /** A valid configuration, to which `path` is added. */
  readonly around: Table
}

const CERT = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'
const keystone = { auth_url: 'https://keystone.example/v3', username: 'oriel', project_name: 'service' }
const api = (more: Table): Table => ({ auth: { method: 'none' }, ...more })
const proxy = ({ authority = {}, ...more }: { authority?: Table; [key: string]: unknown }): Table => ({
  authority: { endpoint: 'http://127.0.0.1:8774/v2.1', ...authority },
  listen: [{ address: '127.0.0.1:6080', consoles: ['novnc'] }],
  ...more,
})
const listen = [{ address: '127.0.0.1:6080', consoles: ['novnc'], tls: { cert: CERT } }]
const server = { id: 'a', name: 'a', project_id: 'p', consoles: { vnc: { host: 'unix:/run/a.sock' } } }
const password = { auth_url: 'https://keystone.example/v3', username: 'oriel', project_id: 'p' }

const files = {
  api: {
    schema: ApiConfig as unknown as SchemaNode,
    load: (toml: string, env = {}) => loadConfig(ApiConfig, { toml, env, refine: refineApiConfig }),
    keys: [
      {
        path: 'auth.static.tokens[0].sha256',
        around: { auth: { method: 'static', static: { tokens: [{ user_id: 'alice', roles: ['member'] }] } } },
      },
      { path: 'auth.keystone.password', around: { auth: { method: 'keystone', keystone } } },
      {
        path: 'auth.keystone.application_credential_secret',
        around: {
          auth: { method: 'keystone', keystone: { auth_url: keystone.auth_url, application_credential_id: 'id' } },
        },
      },
      { path: 'tokens.store', around: api({}) },
      { path: 'tls.key', around: api({ tls: { cert: CERT } }) },
      {
        path: 'sources[0].servers[0].consoles.vnc.password',
        around: api({ sources: [{ kind: 'static', servers: [server] }] }),
      },
    ] as readonly SecretKey[],
  },
  proxy: {
    schema: proxyConfig as unknown as SchemaNode,
    load: (toml: string, env = {}) => loadConfig(proxyConfig, { toml, env, refine: refineProxyConfig }),
    keys: [
      { path: 'authority.auth.token', around: proxy({ authority: { auth: { method: 'token' } } }) },
      { path: 'authority.auth.password', around: proxy({ authority: { auth: { method: 'password', ...password } } }) },
      {
        path: 'authority.auth.application_credential_secret',
        around: proxy({
          authority: {
            auth: { method: 'application_credential', auth_url: password.auth_url, application_credential_id: 'id' },
          },
        }),
      },
      { path: 'listen[0].tls.key', around: proxy({ listen }) },
      { path: 'spice.tls.key', around: proxy({ spice: { tls: { cert: CERT } } }) },
      {
        path: 'hypervisor.vnc.key',
        around: proxy({ hypervisor: { vnc: { auth_schemes: ['vencrypt'], cert: CERT } } }),
      },
      {
        path: 'hypervisor.vnc.password',
        around: proxy({ hypervisor: { vnc: { auth_schemes: ['vnc_auth'] } } }),
      },
      { path: 'hypervisor.spice.password', around: proxy({}) },
      { path: 'sessions.resume_key', around: proxy({}) },
      { path: 'admin.token_sha256', around: proxy({ admin: {} }) },
    ] as readonly SecretKey[],
  },
}

/** Ways to write a secret as a TOML value, intended or by mistake. Each contains `core`. */
const shapes: Readonly<Record<string, (core: string) => string>> = {
  'a word': (core) => quoted(core),
  'a word with a slash': (core) => quoted(`${core}/${core}`),
  'an absolute path': (core) => quoted(`/run/secrets/${core}`),
  'a file name': (core) => quoted(`./${core}.pem`),
  'a URL': (core) => quoted(`postgres://oriel:${core}@db.example:99999/oriel`),
  'a URL without a user': (core) => quoted(`redis://${core}`),
  'several lines': (core) => quoted(`${core}\n${core}`),
  'PEM that is damaged': (core) => quoted(`-----BEGIN PRIVATE KEY-----\n${core}\n-----END PRIVATE KEY-----`),
  'PEM without its first line': (core) => quoted(`${core}\n-----END PRIVATE KEY-----`),
  'a text of 64 characters': (core) => quoted(core.padEnd(64, '0')),
  'a text of 5,000 characters': (core) => quoted(core.repeat(5000 / core.length)),
  'a text with a NUL': (core) => quoted(`${core}\0`),
  'a text beyond ASCII': (core) => quoted(`${core}…ÿ`),
  'a list': (core) => `[${quoted(core)}]`,
  'a table': (core) => `{ value = ${quoted(core)} }`,
  'a list of tables': (core) => `[{ key = ${quoted(core)} }]`,
  'a text without quotes': (core) => core,
  'a text without its last quote': (core) => `"${core}`,
  'a number': (core) => String(BigInt(`0x${core}`) % 2n ** 50n),
}
const quoted = (text: string) => JSON.stringify(text).replaceAll('\u007f', '\\u007f')

/** Returns the text that must not be printed: `core`, or its number for that shape. */
const markerOf = (shape: string, core: string) => (shape === 'a number' ? shapes[shape]!(core) : core)

/** One line of TOML for each key of `table`. */
const toml = (table: Table) => Object.entries(table).map(([key, value]) => `${key} = ${inline(value)}\n`)
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`
  if (value instanceof Raw) return value.toml
  if (typeof value !== 'object' || value === null) return quoted(String(value))
  return `{ ${Object.entries(value)
    .map(([key, inner]) => `${key} = ${inline(inner)}`)
    .join(', ')} }`
}
class Raw {
  readonly toml: string
  constructor(text: string) {
    this.toml = text
  }
}

/** Returns a copy of `table` with `value` at `path`. */
function withValue(table: Table, path: string, value: unknown): Table {
  const copy = structuredClone(table)
  const steps = path.split(/\.|\[(\d+)\]\.?/).filter((step): step is string => Boolean(step))
  const last = steps.pop()!
  let at = copy
  for (const step of steps) {
    at[step] ??= {}
    at = at[step] as Table
  }
  at[last] = value
  return copy
}

const variable = (path: string) =>
  `ORIEL_${path
    .split(/\.|\[|\]\.?/)
    .filter(Boolean)
    .join('__')
    .toUpperCase()}`

/** Returns all text that users and logs see of a failed load; empty if `load` succeeds. */
function shownBy(load: () => unknown): string {
  try {
    load()
    return ''
  } catch (error) {
    const { stack = '' } = error as Error
    const faults = error instanceof ConfigError ? error.faults : []
    return [stack, inspect(error, { depth: 20 }), JSON.stringify(error), JSON.stringify(faults)].join('\n')
  }
}

describe.each(Object.entries(files))('%s.toml', (_, { schema, load, keys }) => {
  const isSecret = ({ 'x-oriel-secret': secret, 'x-oriel-unquoted': unquoted }: SchemaNode) => secret || unquoted

  it('has a case in this file for every key with a secret', () => {
    const secret = keysOf(schema).filter((key) => isSecret(key.schema))
    expect(new Set(keys.map(({ path }) => path))).toEqual(new Set(secret.map(({ path }) => path)))
  })

  it.each(keys)('never prints the value of $path, in any shape, from a file or the environment', ({ path, around }) => {
    for (const [shape, write] of Object.entries(shapes)) {
      const core = randomBytes(10).toString('hex')
      const value = write(core)
      const text = value.startsWith('"') ? (parsed(value) ?? value) : value
      const ways = {
        'the file': () => load(toml(withValue(around, path, new Raw(value))).join('')),
        'a dotted key of the file': () => load(`${toml(around).join('')}${path.replace(/.*\./, '')} = ${value}\n`),
        'a key with _file': () => load(toml(withValue(around, `${path}_file`, new Raw(value))).join('')),
        'a variable': () => load(toml(around).join(''), { [variable(path)]: text }),
        'a variable with _FILE': () => load(toml(around).join(''), { [`${variable(path)}_FILE`]: text }),
      }
      for (const [way, attempt] of Object.entries(ways)) {
        const shown = shownBy(attempt)
        expect(shown.includes(markerOf(shape, core)), `${shape} from ${way}: ${shown}`).toBe(false)
      }
    }
  })
})

const parsed = (text: string): string | undefined => {
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}

describe('--check-config and a failed start', () => {
  it.each([
    ['proxy', 'listen[0].tls.key', files.proxy.keys.find(({ path }) => path === 'listen[0].tls.key')!.around],
    ['proxy', 'admin.token_sha256', proxy({ admin: {} })],
    ['api', 'auth.static.tokens[0].sha256', files.api.keys[0]!.around],
  ])('of the %s name the key %s without the secret that was pasted into it', async (app, path, around) => {
    await using folder = await temporaryFolder()
    const file = new URL(`../../../apps/${app}/src/main.ts`, import.meta.url).pathname
    const core = randomBytes(10).toString('hex')
    const env = { [variable(path)]: core }
    for (const more of [['--check-config'], []]) {
      const config = `${folder.path}/config.toml`
      await writeFile(config, toml(around).join(''))
      await using program = await startProgram({
        file,
        nodeArgs: ['--conditions=@oriel/source'],
        args: ['--config', config, ...more],
        env,
        cwd: folder.path,
      })
      expect(await program.exited).toEqual({ code: 2, signal: null })
      expect(program.stderr).toContain(`${path}: `)
      expect(program.stderr + JSON.stringify(program.records) + program.otherLines.join()).not.toContain(core)
    }
  })
})
