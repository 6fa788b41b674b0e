/** Runs the README's commands and configuration files, with other ports and tokens. */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient, staticToken } from '@oriel/sdk'
import { freePort, scriptedServer, startProgram, temporaryFolder } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, MEMBER_TOKEN, programFile, SERVICE_TOKEN, sha256 } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const block = (title: string) => new RegExp(`\`\`\`toml\\n(# ${title}.*?)\`\`\``, 's').exec(readme)![1]!

it('the two files and the curl command of the README open a console', async () => {
  await using scope = new AsyncDisposableStack()
  const hypervisor = scope.use(await scriptedServer(serveRfb))
  const folder = scope.use(await temporaryFolder())
  const [apiPort, proxyPort] = [await freePort(), await freePort()]
  const start = async (app: 'api' | 'proxy', text: string, env: NodeJS.ProcessEnv) => {
    const file = join(folder.path, `${app}.toml`)
    await writeFile(file, text)
    const options = { file: programFile(app), args: ['--config', file], env, cwd: folder.path }
    await listening(scope.use(await startProgram(options)))
  }
  const api = block('api.toml')
    .replace('<digest of the token that you will use>', sha256(MEMBER_TOKEN))
    .replace("<digest of the proxy's token>", sha256(SERVICE_TOKEN))
  await start('api', api, {
    ORIEL_LISTEN: `127.0.0.1:${apiPort}`,
    ORIEL_CONSOLES__NOVNC__BASE_URL: `http://127.0.0.1:${proxyPort}/vnc_lite.html`,
    ORIEL_SOURCES__0__SERVERS__0__CONSOLES__VNC__PORT: String(hypervisor.port),
  })
  await start('proxy', block('proxy.toml').replace("<the proxy's token>", SERVICE_TOKEN), {
    ORIEL_LISTEN__0__ADDRESS: `127.0.0.1:${proxyPort}`,
    ORIEL_AUTHORITY__ENDPOINT: `http://127.0.0.1:${apiPort}/v2.1`,
  })

  const client = createClient({ endpoint: `http://127.0.0.1:${apiPort}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
  const { url } = await client.createConsole('52b2e44e-e561-464c-88f3-2fc6a1ecea2b', 'novnc')
  const { host, searchParams } = new URL(url)
  const socket = new WebSocket(`ws://${host}/${searchParams.get('path')}`)
  const viewer = await asViewer(socket)
  expect(await viewer.echo(Buffer.from('from the README'))).toEqual(Buffer.from('from the README'))
  socket.terminate()
})

it('the environment variables in the README are all that is needed to move the demo to other ports', async () => {
  const command = /^(ORIEL_\S+=\S+ )+npm start$/m.exec(readme)![0]
  const variables = [...command.matchAll(/(ORIEL_\w+)=127\.0\.0\.1:\d+/g)].map(([, name]) => name!)
  const [apiPort, proxyPort] = [await freePort(), await freePort()]
  const ports: Readonly<Record<string, number>> = {
    ORIEL_API__LISTEN: apiPort,
    ORIEL_PROXY__LISTEN__0__ADDRESS: proxyPort,
  }
  expect(variables.toSorted()).toEqual(Object.keys(ports).toSorted())
  const env = Object.fromEntries(variables.map((name) => [name, `127.0.0.1:${ports[name]}`]))
  await using folder = await temporaryFolder()
  await using oriel = await startProgram({ file: programFile('oriel'), args: ['--demo'], env, cwd: folder.path })
  const { msg } = await oriel.waitForLog((record) => String(record.msg).startsWith('open '))
  expect(msg).toBe(`open http://127.0.0.1:${proxyPort}/`)

  const client = createClient({ endpoint: `http://127.0.0.1:${apiPort}/v2.1` })
  const { servers } = await client.at('2.19').listServersDetail({ query: {} })
  const demo = servers.find(({ name }) => name === 'demo')!
  expect(demo.description).toMatch(/^Drawn by Oriel/)
  for (const type of ['novnc', 'serial'] as const) {
    const { url } = await client.createConsole(demo.id, type)
    expect(new URL(url).host).toBe(`127.0.0.1:${proxyPort}`)
  }
})
