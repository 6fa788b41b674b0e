/** The API over TLS, with the proxy in front of it: as two programs, and as one. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { freePort, startProgram, temporaryPki } from '@oriel/testkit'
import { stringify } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { apiConfig, listening, merge, programFile, proxyConfig, startApp } from './parts/oriel.ts'

describe('an API with TLS', () => {
  it('is the authority of a proxy that trusts its CA, and a fault with its key for any other proxy', async () => {
    await using pki = await temporaryPki()
    const [apiPort, port] = [await freePort(), await freePort()]
    await using api = await startApp('api', merge(apiConfig(apiPort, port, []), { tls: tlsOf(pki.path) }))
    expect(await listening(api)).toMatchObject({ tls: true })
    const check = async (authority: object) => {
      const file = join(pki.path, 'proxy.toml')
      await writeFile(file, stringify(merge(proxyConfig(apiPort, port), { authority })))
      await using proxy = await startProgram({
        ...{ file: programFile('proxy'), args: ['--config', file, '--check-config', '--online'] },
      })
      return [(await proxy.exited).code, proxy.stderr.trim()]
    }
    const https = `https://127.0.0.1:${apiPort}/v2.1`
    expect(await check({ endpoint: https, cafile: join(pki.path, 'ca-cert.pem') })).toEqual([0, ''])
    expect(await check({ endpoint: https })).toEqual([2, expect.stringMatching(/authority\.cafile/)])
    expect(await check({ endpoint: `http://127.0.0.1:${apiPort}/v2.1` })).toEqual([
      2,
      expect.stringContaining(`127.0.0.1:${apiPort} speaks https: write https://`),
    ])
  })

  it('works with the proxy in one process, whatever names its certificate has', async () => {
    await using pki = await temporaryPki({ addresses: [], names: ['api.example'] })
    const [apiPort, port] = [await freePort(), await freePort()]
    await using oriel = await startApp('oriel', {
      api: { ...apiConfig(apiPort, port, []), tls: tlsOf(pki.path), public_url: `https://api.example:${apiPort}` },
      proxy: {
        listen: [{ address: `127.0.0.1:${port}`, consoles: ['novnc'] }],
      },
    })
    await listening(oriel, 2)
    // 403: the API has answered that it does not know the token. 503 would mean that the proxy cannot use it.
    expect(await upgradeStatus(port)).toBe(403)
  })
})

/** Sends an Upgrade with an unknown token, and returns the status of the refusal. */
async function upgradeStatus(port: number): Promise<number | undefined> {
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' }
  const key = { 'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64') }
  const sent = request({ port, host: '127.0.0.1', path: `/?token=${randomUUID()}`, headers: { ...headers, ...key } })
  const [response] = (await once(sent.end(), 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

const tlsOf = (folder: string) => ({
  cert: join(folder, 'server-cert.pem'),
  key: join(folder, 'server-key.pem'),
})
