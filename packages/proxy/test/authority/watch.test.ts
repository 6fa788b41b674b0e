/** The proxy checks its authority, so that a wrong setting is reported before users fail to open consoles. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { staticToken } from '@oriel/sdk'
import { freePort, startNovaStub } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { type Authority, createProxy, novaAuthority } from '../../src/index.ts'
import { ADMIN_TOKEN, capture, configOf, INSTANCE } from '../fixture.ts'
import { admit, authorityOf, type Cloud, PASSWORD, signInAt, startCloud } from './cloud.ts'

/** A proxy with this authority, and its readiness. */
async function proxyOf(authority: Authority) {
  const log = capture()
  const config = configOf('http://127.0.0.1:1/v2.1', '[admin]\nlisten = "127.0.0.1:0"')
  const proxy = await createProxy({ config, authority, log: log.logger })
  const ready = async () => {
    const answer = await fetch(`http://${proxy.admin}/readyz`)
    const { protection: _, ...body } = (await answer.json()) as Record<string, unknown>
    return { status: answer.status, body }
  }
  /** The keys in logged errors, each with its message. */
  const errors = () =>
    log.lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'error' || level === 'warn')
  return { ready, log, errors, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}
const READY = { status: 200, body: { status: 'ok', checks: { authority: 'ok' } } }
const UNREADY = { status: 503, body: { status: 'unready', checks: { authority: 'failing' } } }

/** The headers with the microversion of Nova's response. */
const versionIn = (headers: Headers) =>
  [...headers].filter(([name]) => ['openstack-api-version', 'x-openstack-nova-api-version'].includes(name)) as [
    string,
    string,
  ][]

const novaAt = (cloud: Cloud) => `endpoint = "${cloud.origin}/v2.1"`

describe('a proxy that starts with a wrong setting', () => {
  it.each<[wrong: string, key: string, says: RegExp, toml: (cloud: Cloud) => string]>([
    [
      'the password',
      'authority.auth.password',
      /Keystone refuses this credential/,
      (cloud) => `${novaAt(cloud)}\n${signInAt(cloud.origin).replace(PASSWORD, 'another')}`,
    ],
    [
      'the secret of an application credential',
      'authority.auth.application_credential_secret',
      /Keystone refuses this credential/,
      (cloud) =>
        `${novaAt(cloud)}\nauth = { method = "application_credential", auth_url = "${cloud.origin}", application_credential_id = "c", application_credential_secret = "another" }`,
    ],
    [
      'the address of Keystone, where nothing listens',
      'authority.auth.auth_url',
      /Keystone does not answer: .*cannot be reached/,
      (cloud) => `${novaAt(cloud)}\n${signInAt('http://127.0.0.1:1')}`,
    ],
    [
      'the address of Keystone, where another service answers',
      'authority.auth.auth_url',
      /no Keystone answers there/,
      (cloud) => `${novaAt(cloud)}\n${signInAt(`${cloud.origin}/elsewhere`)}`,
    ],
    [
      'the address of Keystone, whose load balancer has no server',
      'authority.auth.auth_url',
      /Keystone does not answer: a server before it answers 503/,
      (cloud) => `${novaAt(cloud)}\n${signInAt(`${cloud.origin}/balancer`)}`,
    ],
    [
      'the endpoint, where nothing listens',
      'authority.endpoint',
      /Nova does not answer: .*cannot be reached/,
      (cloud) => `endpoint = "http://127.0.0.1:1/v2.1"\n${signInAt(cloud.origin)}`,
    ],
    [
      'the endpoint, where another service answers',
      'authority.endpoint',
      /Nova does not answer there/,
      (cloud) => `endpoint = "${cloud.origin}/elsewhere"\n${signInAt(cloud.origin)}`,
    ],
    [
      'the endpoint, whose load balancer has no server',
      'authority.endpoint',
      /Nova does not answer: a server before it answers 503/,
      (cloud) => `endpoint = "${cloud.origin}/balancer/v2.1"\n${signInAt(cloud.origin)}`,
    ],
    [
      'the region',
      'authority.region',
      /no compute endpoint of region nowhere/,
      (cloud) => `region = "nowhere"\n${signInAt(cloud.origin)}`,
    ],
    [
      'a token',
      'authority.auth.token',
      /Nova refuses this credential/,
      (cloud) => `${novaAt(cloud)}\nauth = { method = "token", token = "another" }`,
    ],
    [
      'a token of oriel-api',
      'authority.auth.token',
      /The API refuses this credential/,
      (cloud) =>
        `kind = "oriel"\nendpoint = "${cloud.origin}/refusing"\nauth = { method = "token", token = "another" }`,
    ],
  ])('is not ready before the first client comes, and names the key: %s, %s', async (_, key, says, toml) => {
    await using cloud = await startCloud()
    const authority = authorityOf(toml(cloud))
    await using proxy = await proxyOf(authority)
    expect(await proxy.ready()).toEqual(UNREADY)
    const said = [...proxy.errors(), ...authority.log.lines.map((line) => JSON.parse(line))]
    const [first] = said.filter((line) => line.key === key)
    expect(first).toMatchObject({ level: 'error', msg: expect.stringContaining(`${key}: `) })
    expect(first.msg).toMatch(says)
    expect(JSON.stringify(said)).not.toContain(PASSWORD)
  })

  it('is not ready if its role may not look up tokens', async () => {
    await using nova = await startNovaStub({ tokens: {}, adminToken: 'admin', memberToken: 'member' })
    const authority = novaAuthority({ endpoint: nova.url, auth: staticToken('member'), timeoutMs: 60_000 })
    await using proxy = await proxyOf(authority)
    expect(await proxy.ready()).toEqual(UNREADY)
    const message = 'its role is not one that os_compute_api:os-console-auth-tokens lets through'
    expect(proxy.errors()[0]).toMatchObject({ key: 'authority.auth', msg: expect.stringContaining(message) })
  })

  it.each([
    ['JSON of another schema', { ok: true }],
    ['a console without an address', { console: {} }],
    ['the address of a console', { console: { instance_uuid: INSTANCE, host: '192.0.2.1', port: 5900 } }],
    ['a port that cannot be dialled', { console: { instance_uuid: INSTANCE, host: '192.0.2.1', port: 0 } }],
  ])('is not ready if its endpoint answers every request with 200 and %s', async (_, body) => {
    await using nova = await startNovaStub({ tokens: {}, adminToken: ADMIN_TOKEN })
    const auth = staticToken(ADMIN_TOKEN)
    const fetch = async (url: string, init: RequestInit) => {
      const { headers } = await globalThis.fetch(url, init)
      return url.includes('os-console')
        ? Response.json(body, { headers: versionIn(headers) })
        : globalThis.fetch(url, init)
    }
    const authority = novaAuthority({ endpoint: nova.url, auth, timeoutMs: 60_000, fetch })
    await using proxy = await proxyOf(authority)
    expect(await proxy.ready()).toEqual(UNREADY)
    expect(proxy.errors()[0]).toMatchObject({
      key: 'authority.endpoint',
      msg: expect.stringContaining('Nova does not answer there'),
    })
    await admit(authority).catch(() => {})
    expect(await proxy.ready()).toEqual(UNREADY)
  })

  it.each([
    [409, 'conflictingRequest'],
    [400, 'badRequest'],
  ])('is not ready if its endpoint answers every request with %i', async (status, key) => {
    await using nova = await startNovaStub({ tokens: {}, adminToken: ADMIN_TOKEN })
    const fetch = async (url: string, init: RequestInit) =>
      url.includes('os-console')
        ? Response.json({ [key]: { code: status, message: 'No.' } }, { status })
        : globalThis.fetch(url, init)
    await using proxy = await proxyOf(
      novaAuthority({ endpoint: nova.url, auth: staticToken(ADMIN_TOKEN), timeoutMs: 60_000, fetch }),
    )
    expect(await proxy.ready()).toEqual(UNREADY)
    expect(proxy.errors()[0]).toMatchObject({ key: 'authority.endpoint' })
  })

  it('is ready with correct settings, and logs nothing', async () => {
    await using cloud = await startCloud()
    await using proxy = await proxyOf(authorityOf(`${novaAt(cloud)}\n${signInAt(cloud.origin)}`))
    expect(await proxy.ready()).toEqual(READY)
    expect(proxy.errors()).toEqual([])
    expect(cloud.signIns()).toBe(1)
  })
})

describe('a proxy whose authority fails later', () => {
  it('is not ready from the first failed look-up of a client', async () => {
    await using cloud = await startCloud()
    const authority = authorityOf(`${novaAt(cloud)}\n${signInAt(cloud.origin)}`)
    await using proxy = await proxyOf(authority)
    expect(await proxy.ready()).toEqual(READY)
    cloud.forget()
    await expect(admit(authority)).rejects.toMatchObject({
      refusal: 'authority_unavailable',
      message: expect.stringMatching(/authority\.auth\.password: Keystone refuses this credential/),
    })
    expect(await proxy.ready()).toEqual(UNREADY)
  })

  it('checks regularly, and is ready once the authority is available again', async () => {
    const port = await freePort()
    const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
    const watch = { retryMs: 20 }
    const endpoint = `http://127.0.0.1:${port}/v2.1`
    await using proxy = await proxyOf(novaAuthority({ endpoint, auth, timeoutMs: 60_000, watch }))
    expect(await proxy.ready()).toEqual(UNREADY)
    await using nova = await startNovaStub({ tokens: {}, adminToken: ADMIN_TOKEN })
    const forward = createServer((request, response) => {
      const headers = request.headers as Record<string, string>
      void fetch(`http://127.0.0.1:${nova.port}${request.url}`, { headers }).then(async (answer) => {
        for (const name of ['openstack-api-version', 'x-openstack-nova-api-version']) {
          if (answer.headers.has(name)) response.setHeader(name, answer.headers.get(name)!)
        }
        response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
      })
    }).listen(port, '127.0.0.1')
    await once(forward, 'listening')
    expect((forward.address() as AddressInfo).port).toBe(port)
    await expect.poll(proxy.ready).toEqual(READY)
    expect(proxy.log.records('the authority can be used again')).toHaveLength(1)
    forward.closeAllConnections()
    forward.close()
  })

  it('checks while no client opens consoles', async () => {
    await using nova = await startNovaStub({ tokens: {}, adminToken: ADMIN_TOKEN })
    const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
    await using proxy = await proxyOf(
      novaAuthority({ endpoint: nova.url, auth, timeoutMs: 60_000, watch: { idleMs: 20 } }),
    )
    await nova.requested(5)
    nova.behave(500)
    await expect.poll(proxy.ready).toEqual(UNREADY)
  })

  it('stays ready while a load balancer answers 429, since another client may have used the limit', async () => {
    await using nova = await startNovaStub({ tokens: {}, adminToken: ADMIN_TOKEN })
    const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
    const fetch = async (url: string, init: RequestInit) =>
      url.includes('os-console') ? new Response('', { status: 429 }) : globalThis.fetch(url, init)
    await using proxy = await proxyOf(novaAuthority({ endpoint: nova.url, auth, timeoutMs: 60_000, fetch }))
    expect(await proxy.ready()).toEqual(READY)
  })
})
