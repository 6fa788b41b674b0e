/** Resuming sessions with Nova, which forgets tokens after minutes. */
import { Secret, sha256Hex } from '@oriel/runtime'
import { type NovaAddress, startNovaStub } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { novaAuthority } from '../../src/index.ts'
import type { ResumeGrant } from '../../src/resume/grant.ts'
import { ADMIN_TOKEN, INSTANCE, TOKEN } from '../fixture.ts'

const never = new AbortController().signal
const VNC: NovaAddress = { host: '10.0.0.5', port: 5901 }
const MOVED: NovaAddress = { host: '10.0.0.6', port: 5907 }
const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
const GRANT: ResumeGrant = {
  ...{ sessionId: 's1', instance: INSTANCE, type: 'novnc', role: 'control', tokenDigest: sha256Hex(TOKEN) },
  ...{ token: new Secret(TOKEN), handle: 'h', openedAt: 0 },
}

async function started({ renew = false } = {}) {
  await using opened = new AsyncDisposableStack()
  const server = { name: 'web-1', instanceName: 'instance-0000002a', consoles: { novnc: VNC } }
  const tokens = { [TOKEN]: { instance_uuid: INSTANCE, ...VNC } }
  const nova = opened.use(await startNovaStub({ tokens, servers: { [INSTANCE]: server }, adminToken: ADMIN_TOKEN }))
  const authority = opened.use(novaAuthority({ endpoint: nova.url, auth, timeoutMs: 60_000, renew }))
  const close = opened.move()
  return {
    ...{ nova, authority, server },
    resume: (grant = GRANT) => authority.resume!(grant, { address: 'c' }, never),
    created: () => nova.requests.filter(({ method }) => method === 'POST').length,
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}
const refused = (refusal: string) => expect.objectContaining({ name: 'Refused', refusal })

describe('resuming with Nova', () => {
  it('looks the token up while Nova knows it', async () => {
    await using it = await started({ renew: true })
    expect(await it.resume()).toEqual({ instance: INSTANCE, ...VNC })
    expect([it.created(), it.authority.resumesByToken]).toEqual([0, true])
  })

  it('refuses a token that Nova has forgotten, without renew', async () => {
    await using it = await started()
    it.nova.tokens.clear()
    await expect(it.resume()).rejects.toEqual(refused('unknown_token'))
    expect(it.created()).toBe(0)
  })

  it('creates a new console for a token that Nova has forgotten, with renew, and validates it by nothing else', async () => {
    await using it = await started({ renew: true })
    it.nova.tokens.clear()
    it.nova.servers.set(INSTANCE, { ...it.server, consoles: { novnc: MOVED } })
    const admission = await it.resume()
    expect(admission).toMatchObject({ instance: INSTANCE, ...MOVED, type: 'novnc' })
    expect(await it.authority.validate!({ admission, type: 'novnc', tokenDigest: GRANT.tokenDigest }, never)).toBe(
      admission,
    )
    expect(it.created()).toBe(1)
  })

  it('refuses a server that is gone, with renew', async () => {
    await using it = await started({ renew: true })
    it.nova.tokens.clear()
    it.nova.servers.clear()
    await expect(it.resume()).rejects.toEqual(refused('console_moved'))
  })

  it('refuses a server that is switched off until it is on again, with renew', async () => {
    await using it = await started({ renew: true })
    it.nova.tokens.clear()
    it.nova.servers.set(INSTANCE, { ...it.server, vmState: 'stopped', consoles: { novnc: 409 } })
    await expect(it.resume()).rejects.toEqual(refused('switched_off'))
    it.nova.servers.set(INSTANCE, it.server)
    expect(await it.resume()).toMatchObject({ instance: INSTANCE })
  })

  it('refuses while Nova forbids the proxy to create consoles, and while Nova does not answer', async () => {
    await using it = await started({ renew: true })
    it.nova.behave(500)
    await expect(it.resume()).rejects.toEqual(refused('authority_unavailable'))
    expect(it.created()).toBe(0)
    it.nova.behave('answer')
    it.nova.tokens.clear()
    it.nova.forbidden.add('os-remote-consoles')
    await expect(it.resume()).rejects.toEqual(refused('authority_unavailable'))
  })
})

describe('finding a console again with Nova', () => {
  const LOST = { instance: INSTANCE, type: 'novnc', sessionId: 's1' } as const

  it('is possible only with renew, since it creates consoles', async () => {
    await using it = await started()
    expect(it.authority.locate).toBeUndefined()
  })

  it('waits while Nova migrates the server, and creates no console meanwhile', async () => {
    await using it = await started({ renew: true })
    it.nova.servers.set(INSTANCE, { ...it.server, taskState: 'migrating' })
    expect(await it.authority.locate!(LOST, never)).toEqual({ is: 'moving' })
    expect(it.created()).toBe(0)
  })

  it('creates a console to learn its address once the server has arrived', async () => {
    await using it = await started({ renew: true })
    it.nova.servers.set(INSTANCE, { ...it.server, consoles: { novnc: MOVED } })
    expect(await it.authority.locate!(LOST, never)).toEqual({ is: 'at', ...MOVED })
    expect(it.created()).toBe(1)
  })

  it.each([
    ['stopped', 'off'],
    ['shelved', 'off'],
    ['suspended', 'gone'],
    ['error', 'gone'],
  ])('says of a server that is %s that its console is %s', async (vmState, is) => {
    await using it = await started({ renew: true })
    it.nova.servers.set(INSTANCE, { ...it.server, vmState })
    expect(await it.authority.locate!(LOST, never)).toEqual({ is })
    expect(it.created()).toBe(0)
  })

  it('fails while Nova does not answer', async () => {
    await using it = await started({ renew: true })
    it.nova.behave(500)
    await expect(it.authority.locate!(LOST, never)).rejects.toEqual(refused('authority_unavailable'))
  })
})
