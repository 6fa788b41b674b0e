/**
 * Two configuration files with every key on which deployments depend. The programs must accept them unchanged, except
 * for the placeholders. Environment variables override the ports.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createClient, staticToken } from '@oriel/sdk'
import {
  freePort,
  type RunningProgram,
  type ScriptedServer,
  scriptedServer,
  startProgram,
  temporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { parse, stringify } from 'smol-toml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, MEMBER_TOKEN, PROJECT, programFile, SERVICE_TOKEN, sha256 } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

type App = 'api' | 'proxy' | 'oriel'
type Variables = Readonly<Record<string, string>>

/** The placeholders in the files. */
const PLACEHOLDERS = {
  api: ['auth.static.tokens[0].sha256'],
  proxy: ['spice.tls.cert', 'spice.tls.key', 'spice.tls.ca'],
}
const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

describe('the files of the operator’s interface', () => {
  const parts = new AsyncDisposableStack()
  let folder: string
  let pki: string
  let hypervisor: ScriptedServer

  beforeAll(async () => {
    folder = parts.use(await temporaryFolder()).path
    pki = parts.use(await temporaryPki()).path
    hypervisor = parts.use(await scriptedServer(serveRfb))
    const files = await Promise.all((['api', 'proxy'] as const).map((app) => readFile(fileOf(app), 'utf8')))
    const [api, proxy] = files.map((text) => parse(text))
    await writeFile(join(folder, 'oriel.toml'), stringify({ api, proxy }))
  })
  afterAll(() => parts.disposeAsync())

  const fileOf = (app: App) =>
    app === 'oriel'
      ? join(folder, 'oriel.toml')
      : fileURLToPath(new URL(`fixtures/interface/${app}.toml`, import.meta.url))
  const run = (app: App, env: Variables, ...more: string[]) =>
    startProgram({ file: programFile(app), args: ['--config', fileOf(app), ...more], env, cwd: folder })

  async function apiVariables(): Promise<Variables & { readonly LISTEN: string }> {
    const address = `127.0.0.1:${await freePort()}`
    return {
      LISTEN: address,
      PUBLIC_URL: `http://${address}`,
      AUTH__STATIC__TOKENS__0__SHA256: sha256(MEMBER_TOKEN),
      AUTH__STATIC__TOKENS__1: `{ sha256 = "${sha256(SERVICE_TOKEN)}", user_id = "proxy", project_id = "${PROJECT}", roles = ["service"] }`,
      SOURCES__0__SERVERS__0__CONSOLES__VNC__HOST: hypervisor.host,
      SOURCES__0__SERVERS__0__CONSOLES__VNC__PORT: String(hypervisor.port),
    }
  }

  async function proxyVariables(
    api: string,
  ): Promise<Variables & Record<'LISTEN__0__ADDRESS' | 'ADMIN__LISTEN', string>> {
    const address = async () => `127.0.0.1:${await freePort()}`
    return {
      AUTHORITY__ENDPOINT: `http://${api}/v2.1`,
      AUTHORITY__AUTH__TOKEN: SERVICE_TOKEN,
      LISTEN__0__ADDRESS: await address(),
      LISTEN__1__ADDRESS: await address(),
      LISTEN__2__ADDRESS: await address(),
      LISTEN__3__ADDRESS: await address(),
      SPICE__LISTEN: await address(),
      SPICE__TLS_LISTEN: await address(),
      SPICE__TLS__CERT: join(pki, 'server-cert.pem'),
      SPICE__TLS__KEY: join(pki, 'server-key.pem'),
      SPICE__TLS__CA: join(pki, 'ca-cert.pem'),
      ADMIN__LISTEN: await address(),
    }
  }

  const variables = async () => {
    const api = await apiVariables()
    const proxy = await proxyVariables(api.LISTEN)
    const base = { CONSOLES__NOVNC__BASE_URL: `http://${proxy.LISTEN__0__ADDRESS}/vnc_lite.html` }
    return { api: { ...api, ...base }, proxy }
  }
  const under = (prefix: string, given: Variables): Variables =>
    Object.fromEntries(Object.entries(given).map(([name, value]) => [`${prefix}${name}`, value]))

  /** Opens a console of the configured server, and expects an echo. */
  async function echoThrough(api: Variables): Promise<void> {
    const client = createClient({ endpoint: `http://${api.LISTEN}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
    const { url } = await client.createConsole(SERVER, 'novnc')
    const { host, searchParams } = new URL(url)
    const socket = new WebSocket(`ws://${host}/${searchParams.get('path')}`)
    const viewer = await asViewer(socket)
    expect(await viewer.echo(Buffer.from('hello'))).toEqual(Buffer.from('hello'))
    socket.terminate()
  }

  /** Waits for the last listener: they are started one after another. */
  const allListen = (program: RunningProgram, { LISTEN__3__ADDRESS: last }: Variables) =>
    program.waitForLog(({ msg, address }) => msg === 'listening' && address === last)

  /** Runs `--health` with the configuration of a running program, and expects that it answers on `address`. */
  async function healthy(app: App, env: Variables, address: string | undefined): Promise<void> {
    await using program = await run(app, env, '--health')
    expect(await program.exited).toEqual({ code: 0, signal: null })
    const name = app === 'oriel' ? app : `oriel-${app}`
    expect([program.otherLines, program.stderr]).toEqual([[`${name} answers on ${address}`], ''])
  }

  it.each(['api', 'proxy'] as const)('%s.toml has no fault except for its placeholders', async (app) => {
    await using program = await run(app, {}, '--check-config')
    expect(await program.exited).toEqual({ code: 2, signal: null })
    const paths = program.stderr
      .trimEnd()
      .split('\n')
      .map((line) => line.split(': ')[0])
    expect(paths).toEqual(PLACEHOLDERS[app])
  })

  it('pass --check-config of api, proxy and oriel once the placeholders are replaced', async () => {
    const { api, proxy } = await variables()
    const both = { ...under('ORIEL_API__', api), ...under('ORIEL_PROXY__', proxy) }
    const given = { api: under('ORIEL_', api), proxy: under('ORIEL_', proxy), oriel: both }
    for (const app of ['api', 'proxy', 'oriel'] as const) {
      await using program = await run(app, given[app], '--check-config')
      const { code } = await program.exited
      expect({ app, code, stderr: program.stderr }).toEqual({ app, code: 0, stderr: '' })
      expect(program.otherLines).toEqual(['config ok'])
    }
  })

  it('start api and proxy as two processes, which open a console', async () => {
    const given = await variables()
    await using api = await run('api', under('ORIEL_', given.api))
    await listening(api)
    await using proxy = await run('proxy', under('ORIEL_', given.proxy))
    await allListen(proxy, given.proxy)
    await echoThrough(given.api)
    await healthy('api', under('ORIEL_', given.api), given.api.LISTEN)
    await healthy('proxy', under('ORIEL_', given.proxy), given.proxy.ADMIN__LISTEN)
    for (const program of [proxy, api]) expect(await program.stop()).toEqual({ code: 0, signal: null })
  })

  it('start oriel as one process, which opens a console', async () => {
    const { api, proxy } = await variables()
    const both = { ...under('ORIEL_API__', api), ...under('ORIEL_PROXY__', proxy) }
    await using oriel = await run('oriel', both)
    await allListen(oriel, proxy)
    await echoThrough(api)
    await healthy('oriel', both, proxy.ADMIN__LISTEN)
    expect(await oriel.stop()).toEqual({ code: 0, signal: null })
  })
})
