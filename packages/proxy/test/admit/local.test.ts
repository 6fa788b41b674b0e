/** DNS rebinding against a proxy whose authority requires no credentials. */
import { connect } from 'node:net'
import { refusals } from '@oriel/contract'
import { loadConfig, parseListen } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { admitLocal } from '../../src/admit/local.ts'
import { allowedOrigin } from '../../src/admit/origin.ts'
import { type ProxyConfig, proxyConfig, refineProxyConfig, startProxy } from '../../src/index.ts'
import { capture, raw, running, TOKEN, UPGRADE, upgrade } from '../fixture.ts'

describe('a listener on loopback without credentials', () => {
  const allowed = ['portal.example', 'https://secure.example'].map(allowedOrigin)
  const verdict = (host: string, origin?: string) => {
    try {
      admitLocal(['Host', host, ...(origin === undefined ? [] : ['Origin', origin])], allowed)
      return 'admitted'
    } catch (error) {
      return (error as { refusal: string }).refusal
    }
  }

  it.each([
    ['localhost', undefined, 'admitted'],
    ['localhost:9000', 'http://localhost:9000', 'admitted'],
    ['127.0.0.1:6080', 'http://127.0.0.1:6080', 'admitted'],
    ['127.1.2.3', 'http://127.1.2.3', 'admitted'],
    ['[::1]:6080', 'http://[::1]:6080', 'admitted'],
    ['[::ffff:127.0.0.1]', undefined, 'admitted'],
    ['LocalHost.', 'http://localhost', 'admitted'],
    ['oriel.localhost:6080', 'http://oriel.localhost:6080', 'admitted'],
    ['portal.example', 'https://portal.example', 'admitted'],
    ['secure.example', 'https://secure.example:8443', 'admitted'],
    ['rebind.attacker.example', undefined, 'foreign_host'],
    ['rebind.attacker.example:6080', 'http://rebind.attacker.example:6080', 'foreign_host'],
    ['192.0.2.7', undefined, 'foreign_host'],
    ['0.0.0.0:6080', undefined, 'foreign_host'],
    ['[2001:db8::1]', undefined, 'foreign_host'],
    ['localhost.attacker.example', undefined, 'foreign_host'],
    ['notlocalhost', undefined, 'foreign_host'],
    ['127.0.0.1.attacker.example', undefined, 'foreign_host'],
    ['', undefined, 'bad_request'],
    ['a b', undefined, 'bad_request'],
    ['localhost', 'http://rebind.attacker.example', 'foreign_origin'],
    ['localhost', 'http://localhost.attacker.example', 'foreign_origin'],
    ['localhost', 'http://localhost@attacker.example', 'foreign_origin'],
    ['localhost', 'http://secure.example', 'foreign_origin'],
    ['localhost', 'null', 'foreign_origin'],
    ['localhost', 'file://', 'foreign_origin'],
  ])('with Host %j and Origin %j answers %s', (host, origin, wanted) => expect(verdict(host, origin)).toBe(wanted))

  it('refuses a page and an Upgrade for another name with 421, and logs the name', async () => {
    await using proxy = await running({ unauthenticated: true })
    const rebound = 'Host: rebind.attacker.example'
    for (const path of ['/', '/oriel.json', '/nothing', `/?token=${TOKEN}`]) {
      const answer = await raw(proxy.address, [`GET ${path} HTTP/1.1`, rebound, 'Connection: close'])
      expect(answer.status).toBe(421)
      expect(JSON.parse(answer.body)).toEqual({
        misdirectedRequest: { code: 421, message: refusals.foreign_host.text },
      })
    }
    const origin = 'Origin: http://rebind.attacker.example'
    expect(await upgrade(proxy.address, undefined, [rebound, origin])).toMatchObject({ status: 421 })
    expect(await upgrade(proxy.address, undefined, [rebound, 'X-Forwarded-Host: localhost'])).toMatchObject({
      status: 421,
    })
    expect(await upgrade(proxy.address, undefined, ['Host: localhost:9', origin])).toMatchObject({ status: 403 })
    expect(proxy.nova.requests).toEqual([])
    expect(proxy.log.records('refused')).toContainEqual(
      expect.objectContaining({ refusal: 'foreign_host', detail: expect.stringContaining('rebind.attacker.example') }),
    )
  })

  it.each([
    ['this machine, then another host', ['Host: localhost', 'Host: rebind.attacker.example']],
    ['another host, then this machine', ['Host: rebind.attacker.example', 'Host: localhost']],
    ['this machine twice', ['Host: localhost', 'Host: localhost']],
    ['a malformed name', ['Host: a b']],
  ])('refuses a page and an Upgrade with 400 whose Host headers name %s', async (_, hosts) => {
    await using proxy = await running({ unauthenticated: true })
    const page = await raw(proxy.address, ['GET / HTTP/1.1', ...hosts, 'Connection: close'])
    expect(page.status).toBe(400)
    expect(await upgrade(proxy.address, undefined, hosts)).toMatchObject({ status: 400 })
  })

  it('serves a loopback name on another port, as with ssh -L', async () => {
    await using proxy = await running({ unauthenticated: true })
    const page = await raw(proxy.address, ['GET /oriel.json HTTP/1.1', 'Host: localhost:9000', 'Connection: close'])
    expect(page.status).toBe(200)
    const headers = ['Host: localhost:9000', 'Origin: http://localhost:9000']
    expect(await opened(proxy.address, headers)).toBe('HTTP/1.1 101 Switching Protocols')
  })

  it('serves a host in origin.allowed', async () => {
    await using proxy = await running({ unauthenticated: true, toml: '[origin]\nallowed = ["portal.example"]' })
    const page = await raw(proxy.address, ['GET /oriel.json HTTP/1.1', 'Host: portal.example', 'Connection: close'])
    expect(page.status).toBe(200)
    expect(await opened(proxy.address, ['Host: portal.example', 'Origin: https://portal.example'])).toContain(' 101 ')
  })

  it('answers health checks over HTTP/1.0, which name no host', async () => {
    await using proxy = await running({ unauthenticated: true })
    expect(await raw(proxy.address, ['GET /oriel.json HTTP/1.0'])).toMatchObject({ status: 200 })
  })
})

describe('a listener that serves only this machine', () => {
  const config = (listen: string, auth: string): ProxyConfig =>
    loadConfig(proxyConfig, {
      toml: `[authority]\nkind = "oriel"\nendpoint = "http://127.0.0.1:1"\nauth = ${auth}\n[[listen]]\naddress = "${listen}"\nconsoles = ["novnc"]`,
      refine: refineProxyConfig,
    })

  it.each([
    ['127.0.0.1:0', '{ method = "none" }', 421],
    ['localhost:0', '{ method = "none" }', 421],
    ['127.0.0.1:0', '{ method = "token", token = "t" }', 200],
    ['0.0.0.0:0', '{ method = "none" }', 200],
  ])('at %s with auth %s answers a foreign Host with %s', async (listen, auth, status) => {
    await using proxy = await startProxy(config(listen, auth), { log: capture().logger })
    const { host, port } = parseListen(proxy.listeners[0]!.address)
    const at = `${host === '0.0.0.0' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`
    const lines = ['GET /oriel.json HTTP/1.1', 'Host: rebind.attacker.example', 'Connection: close']
    expect(await raw(at, lines)).toMatchObject({ status })
  })
})

/** Sends an Upgrade, closes the connection, and returns the first line of the response. */
async function opened(address: string, headers: readonly string[]): Promise<string> {
  const socket = connect(parseListen(address))
  socket.write([`GET /?token=${TOKEN} HTTP/1.1`, ...headers, ...UPGRADE, '', ''].join('\r\n'))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  socket.once('data', (data) => resolve(data.toString('latin1').split('\r\n', 1)[0]!)).once('error', reject)
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
