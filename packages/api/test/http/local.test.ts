/** DNS rebinding and blind requests against an API that asks for no credentials. */
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import { loadConfig, parseListen, Secret, silentLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { ApiConfig, startApi } from '../../src/index.ts'
import { consolesPath, remoteConsole, SERVER_ID } from '../support.ts'

const config = (toml = '') =>
  loadConfig(ApiConfig, {
    toml: `listen = "127.0.0.1:0"
      ${toml}
      auth.method = "none"
      tokens.store = "sqlite::memory:"
      [[sources]]
      kind = "static"
      [[sources.servers]]
      id = "${SERVER_ID}"
      name = "web-1"
      project_id = "local"
      consoles.vnc = { host = "127.0.0.1", port = 5901 }`,
  })

const start = (toml?: string) => startApi(config(toml), { log: silentLogger(), internal: new Secret('of-the-process') })

interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What a browser on this machine sends under whichever name it was given: `fetch` would set Host by itself. */
async function send(address: string, { method = 'GET', path = '/v2.1/servers', headers = {}, body }: Sent) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const sent = request({ ...parseListen(address), method, path, headers, agent: false }, (response) => {
    const { statusCode = 0 } = response
    json(response).then((answer) => resolve({ status: statusCode, text: JSON.stringify(answer) }), reject)
  })
  sent.once('error', reject).end(body)
  return promise
}

const REBOUND = 'rebind.attacker.example'
const FROM_PAGE = { Origin: `http://${REBOUND}` }
const body = JSON.stringify(remoteConsole('vnc', 'novnc'))
const create = (headers: Readonly<Record<string, string>>): Sent => ({
  ...{ method: 'POST', path: consolesPath(), body },
  headers: { 'OpenStack-API-Version': 'compute 2.6', ...headers },
})
const JSON_BODY = { 'Content-Type': 'application/json' }

describe('an API without authentication', () => {
  test.each([
    ...['localhost', 'localhost:9774', '127.0.0.1:8774', '127.9.9.9', '[::1]:8774', 'api.localhost'],
    ...['[::ffff:127.0.0.1]:8774', '[::FFFF:7f00:1]', '[0:0:0:0:0:0:0:1]:8774', '127.0.0.1:', 'LocalHost:', '[::1]:'],
  ])('serves Host %s', async (host) => {
    await using api = await start()
    expect(await send(api.address, { headers: { Host: host } })).toMatchObject({ status: 200 })
    expect(await send(api.address, create({ Host: host, Origin: `http://${host}`, ...JSON_BODY }))).toMatchObject({
      status: 200,
    })
  })

  test.each([
    REBOUND,
    `${REBOUND}:8774`,
    'localhost.attacker.example',
    '127.0.0.1.nip.example',
    '192.0.2.7',
    '192.0.2.7:',
    '[::ffff:192.0.2.7]:8774',
    '0.0.0.0',
  ])('refuses Host %s on every path with a remedy', async (host) => {
    await using api = await start()
    for (const path of ['/', '/v2.1', '/v2.1/servers', '/oriel/v1/sessions', '/readyz', '/openapi.json', '/nothing']) {
      const { status, text } = await send(api.address, { path, headers: { Host: host } })
      expect({ path, status }).toEqual({ path, status: 403 })
      expect(text).toMatch(/use http:\/\/localhost or http:\/\/127\.0\.0\.1, or configure auth\.method/)
    }
    expect(await send(api.address, create({ Host: host, ...JSON_BODY }))).toMatchObject({ status: 403 })
  })

  test.each(['GET', 'POST', 'OPTIONS', 'DELETE'])('refuses a %s of a page of another site', async (method) => {
    await using api = await start()
    for (const Origin of [FROM_PAGE.Origin, 'null', 'http://localhost.attacker.example']) {
      const { status, text } = await send(api.address, { method, headers: { Origin, ...JSON_BODY } })
      expect({ Origin, status }).toEqual({ Origin, status: 403 })
      expect(text).toContain('cors.allowed_origins')
    }
  })

  test.each([
    'text/plain',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '',
  ])('refuses a body of type %j with 415, with and without an Origin', async (type) => {
    await using api = await start()
    const headers = type === '' ? {} : { 'Content-Type': type }
    for (const origin of [{}, FROM_PAGE, { Origin: 'http://localhost:6080' }]) {
      expect(await send(api.address, create({ ...headers, ...origin }))).toMatchObject({ status: 415 })
    }
    const chunked = { ...create({ ...headers, 'Transfer-Encoding': 'chunked' }) }
    expect(await send(api.address, chunked)).toMatchObject({ status: 415 })
  })

  test('accepts bodies with both media types of JSON', async () => {
    await using api = await start()
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'application/vnd.openstack.compute+json',
    ]) {
      expect(await send(api.address, create({ 'Content-Type': type }))).toMatchObject({ status: 200 })
    }
  })

  test('serves the origins and the public URL of its configuration', async () => {
    await using api = await start(
      'public_url = "https://console.example/compute"\ncors.allowed_origins = ["https://portal.example"]',
    )
    for (const headers of [
      { Host: 'console.example' },
      { Host: 'console.example', Origin: 'https://console.example' },
      { Host: 'localhost', Origin: 'https://portal.example' },
    ]) {
      expect(await send(api.address, { headers })).toMatchObject({ status: 200 })
    }
    expect(await send(api.address, { headers: { Host: 'portal.example' } })).toMatchObject({ status: 403 })
    expect(await send(api.address, { headers: { Host: REBOUND } })).toMatchObject({ status: 403 })
  })
})
