/** Validation with Nova: a console must still belong to its instance before the proxy relays a byte. */
import { Secret, sha256Hex } from '@oriel/runtime'
import type { Fetch } from '@oriel/sdk'
import { type NovaAddress, type NovaServer, startNovaStub } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import type { ValidateSetting } from '../../src/authority/nova-validation.ts'
import { type Admission, novaAuthority } from '../../src/index.ts'
import { ADMIN_TOKEN, capture, INSTANCE, OTHER_TOKEN, TOKEN } from '../fixture.ts'

const never = new AbortController().signal
const VNC: NovaAddress = { host: '10.0.0.5', port: 5901 }
const SERIAL: NovaAddress = { host: '10.0.0.5', port: 10_001 }
const SPICE: NovaAddress = { host: '10.0.0.5', port: 5902 }
const HERE = { novnc: VNC, serial: SERIAL, 'spice-html5': SPICE }
const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
type Type = 'novnc' | 'serial' | 'spice-html5' | 'webmks' | 'spice-direct'

interface Options {
  readonly validate?: ValidateSetting
  readonly server?: Partial<NovaServer>
  /** The console of `TOKEN`. Default: the serial console. */
  readonly token?: NovaAddress
  readonly fetch?: Fetch
  readonly timeoutMs?: number
}

async function started({ validate, server = {}, token = SERIAL, fetch, timeoutMs = 60_000 }: Options = {}) {
  await using opened = new AsyncDisposableStack()
  const tokens = { [TOKEN]: { instance_uuid: INSTANCE, ...token } }
  const servers = { [INSTANCE]: { name: 'web-1', instanceName: 'instance-0000002a', consoles: HERE, ...server } }
  const nova = opened.use(await startNovaStub({ tokens, servers, adminToken: ADMIN_TOKEN }))
  let nowMs = 0
  const breaker = { now: () => nowMs }
  const log = capture()
  const more = { ...(fetch ? { fetch } : {}), validate, breaker, log: log.logger }
  const authority = opened.use(novaAuthority({ endpoint: nova.url, auth, timeoutMs, ...more }))
  const close = opened.move()
  const admit = (of = TOKEN) => authority.admit(new Secret(of), { address: 'c' }, never)
  const confirm = (admission: Admission, type: Type = 'serial', of = TOKEN, signal = never) =>
    authority.validate!({ admission, type, tokenDigest: sha256Hex(of) }, signal)
  return {
    ...{ nova, authority, log, admit, confirm },
    validate: async (type: Type = 'serial', of = TOKEN) => confirm(await admit(of), type, of),
    change: (to: Partial<NovaServer>) => nova.servers.set(INSTANCE, { ...nova.servers.get(INSTANCE)!, ...to }),
    later: (ms: number) => {
      nowMs += ms
    },
    created: () => nova.requests.filter(({ method }) => method === 'POST').length,
    shown: () => nova.requests.filter(({ url }) => url === `/v2.1/servers/${INSTANCE}`).length,
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}
const refused = (refusal: string, detail?: string) =>
  expect.objectContaining({ name: 'Refused', refusal, ...(detail ? { message: expect.stringContaining(detail) } : {}) })

describe.each<ValidateSetting>(['fresh', undefined])('with validate = %s, a console', (validate) => {
  it('is dialled at its address if a new console of the instance has the same one', async () => {
    await using it = await started({ validate })
    expect(await it.validate()).toEqual({ instance: INSTANCE, ...SERIAL })
    expect(it.authority.validation).toBe('fresh')
  })

  it('that has moved to another port is dialled there, with a log record', async () => {
    await using it = await started({ validate })
    const admission = await it.admit()
    it.change({ consoles: { ...HERE, serial: { ...SERIAL, port: 10_007 } } })
    expect(await it.confirm(admission)).toEqual({ instance: INSTANCE, ...SERIAL, port: 10_007 })
    expect(it.log.records('the console has moved: dialling its new address')).toMatchObject([{ to: '10.0.0.5:10007' }])
  })

  it.each<[string, Type, NovaAddress]>([
    ['a VNC token at the address of serial consoles', 'serial', VNC],
    ['a SPICE token at the address of VNC consoles', 'novnc', SPICE],
    ['a serial token at the address of SPICE consoles', 'spice-html5', SERIAL],
  ])('is refused for %s', async (_, type, token) => {
    await using it = await started({ validate, token })
    await expect(it.validate(type)).rejects.toEqual(refused('wrong_console_type'))
  })

  it('is refused for a token that was used for another type, even after both consoles have moved', async () => {
    await using it = await started({ validate, token: VNC })
    await it.validate('novnc')
    it.change({ consoles: { novnc: { ...VNC, port: 5999 }, serial: SERIAL } })
    it.later(1000)
    await expect(it.validate('serial')).rejects.toEqual(refused('wrong_console_type', 'the token is for novnc'))
    expect(await it.validate('novnc')).toMatchObject({ port: 5999 })
  })

  it.each<[string, Partial<NovaServer>, string]>([
    ['does not run', { consoles: { serial: { ...SERIAL, port: -1 } } }, 'console_unreachable'],
    ['is not ready', { consoles: { serial: 409 } }, 'console_unreachable'],
    ['has no console of this type', { consoles: {} }, 'console_unreachable'],
    ['has a hypervisor without this type', { consoles: { serial: 501 } }, 'wrong_console_type'],
    ['is being migrated or deleted', { consoles: { serial: 500 } }, 'authority_unavailable'],
  ])('is refused when its instance %s', async (_, server, refusal) => {
    await using it = await started({ validate, server })
    await expect(it.validate()).rejects.toEqual(refused(refusal))
    expect(it.authority.breaker!.state).toBe('closed')
  })

  it.each<[string, 409 | NovaAddress]>([
    ['Nova refuses', 409],
    ['Nova gives the port -1', { ...SERIAL, port: -1 }],
  ])('is refused as switched off if its instance is stopped, where %s', async (_, serial) => {
    await using it = await started({ validate, server: { vmState: 'stopped', consoles: { serial } } })
    await expect(it.validate()).rejects.toEqual(refused('switched_off'))
  })

  it('is refused as unreachable if Nova refuses it and does not show its instance', async () => {
    const isServer = (url: URL | string, method?: string) => method !== 'POST' && String(url).endsWith(INSTANCE)
    const fetch: Fetch = async (url, init) =>
      isServer(url, init.method) ? new Response('', { status: 500 }) : globalThis.fetch(url, init)
    await using it = await started({ validate, fetch, server: { vmState: 'stopped', consoles: { serial: 409 } } })
    await expect(it.validate()).rejects.toEqual(refused('console_unreachable'))
  })

  it('is refused as moved when its instance is gone', async () => {
    await using it = await started({ validate })
    const admission = await it.admit()
    it.nova.servers.delete(INSTANCE)
    await expect(it.confirm(admission)).rejects.toEqual(refused('console_moved'))
  })

  it('is refused when its compute host has no such guest', async () => {
    await using it = await started({ validate })
    await it.validate()
    it.later(1000)
    it.change({ consoles: { serial: 404 } })
    await expect(it.validate()).rejects.toEqual(refused('console_unreachable', 'has no guest'))
  })

  it.each(['hang', 'reset', 500, 503] as const)('is never dialled while Nova answers with %s', async (behaviour) => {
    await using it = await started({ validate, timeoutMs: behaviour === 'hang' ? 1_000 : 60_000 })
    const admission = await it.admit()
    it.nova.behave(behaviour)
    await expect(it.confirm(admission)).rejects.toEqual(refused('authority_unavailable'))
    it.nova.behave('answer')
    expect(await it.confirm(admission)).toEqual(admission)
  })

  it('of type spice-direct is dialled at both of its new ports', async () => {
    const token = { host: '10.0.0.5', port: 5902, tls_port: 5903 }
    await using it = await started({ validate, token, server: { consoles: { 'spice-direct': token } } })
    const admission = await it.admit()
    expect(await it.confirm(admission, 'spice-direct')).toEqual(admission)
    it.later(1000)
    it.change({ consoles: { 'spice-direct': { ...token, tls_port: 5905 } } })
    expect(await it.confirm(admission, 'spice-direct')).toEqual({ ...admission, tlsPort: 5905 })
  })

  it('of type webmks uses the path of the new console, since each has a new ticket', async () => {
    const path = (ticket: string) => ({ host: '10.0.0.9', port: 902, internal_access_path: ticket })
    await using it = await started({ validate, token: path('one'), server: { consoles: { webmks: path('two') } } })
    expect(await it.validate('webmks')).toMatchObject({ port: 902, internalAccessPath: 'two' })
    expect(it.created()).toBe(1)
  })
})

describe('a request for a new console', () => {
  it('is shared by concurrent clients, and its result is reused for one second', async () => {
    await using it = await started()
    const admission = await it.admit()
    await Promise.all(Array.from({ length: 10 }, () => it.confirm(admission)))
    expect(it.created()).toBe(1)
    it.later(999)
    await it.confirm(admission)
    expect(it.created()).toBe(1)
    it.later(1)
    await it.confirm(admission)
    expect(it.created()).toBe(2)
  })

  it('is made for each type separately', async () => {
    await using it = await started()
    const admission = await it.admit()
    await it.confirm(admission)
    await it.confirm({ ...admission, ...VNC }, 'novnc', OTHER_TOKEN)
    expect(it.created()).toBe(2)
  })

  it('has a result that is compared with each token separately', async () => {
    await using it = await started()
    const admission = await it.admit()
    await it.confirm(admission)
    const elsewhere = { ...admission, port: 10_044 }
    expect(await it.confirm(elsewhere, 'serial', OTHER_TOKEN)).toEqual(admission)
    expect(await it.confirm(admission)).toEqual(admission)
  })

  it('is repeated for a token that disagrees with the kept result', async () => {
    await using it = await started()
    await it.validate()
    const moved = { ...SERIAL, port: 10_007 }
    it.change({ consoles: { ...HERE, serial: moved } })
    it.nova.tokens.set(OTHER_TOKEN, { instance_uuid: INSTANCE, ...moved })
    expect(await it.validate('serial', OTHER_TOKEN)).toEqual({ instance: INSTANCE, ...moved })
    expect(it.created()).toBe(2)
    expect(it.log.records('the console has moved: dialling its new address')).toEqual([])
  })

  it('is not reused when it failed', async () => {
    await using it = await started({ validate: 'fresh' })
    const admission = await it.admit()
    it.nova.behave(503)
    await expect(it.confirm(admission)).rejects.toEqual(refused('authority_unavailable'))
    it.nova.behave('answer')
    expect(await it.confirm(admission)).toEqual(admission)
  })

  it('is awaited for each client until that client leaves', async () => {
    await using it = await started()
    const admission = await it.admit()
    it.nova.behave('hang')
    const leaving = new AbortController()
    const left = it.confirm(admission, 'serial', TOKEN, leaving.signal)
    leaving.abort(new Error('the client left'))
    await expect(left).rejects.toThrow('the client left')
  })

  it('leaves no token in the log', async () => {
    await using it = await started()
    await it.validate()
    it.change({ consoles: { ...HERE, serial: { ...SERIAL, port: -1 } } })
    it.later(1000)
    await it.validate().catch((error: Error) => it.log.logger.error({ err: error }, 'as the proxy logs it'))
    const tokens = [...it.nova.tokens.keys()]
    expect(tokens).toHaveLength(3)
    for (const token of tokens) expect(it.log.text()).not.toContain(token)
  })
})

describe('with a Nova that forbids the proxy to create consoles', () => {
  it('the server’s state decides, one line names the role, and a new console is tried again after five minutes', async () => {
    await using it = await started()
    it.nova.forbidden.add('os-remote-consoles')
    expect(it.authority.validation).toBe('untried')
    await it.validate()
    await it.validate()
    expect(it.authority.validation).toBe('state')
    expect(it.created()).toBe(1)
    const LINE = 'consoles are validated only by the state of their server: Nova forbids the proxy to create consoles'
    expect(it.log.records(LINE)).toMatchObject([
      { remedy: expect.stringContaining('os_compute_api:os-remote-consoles') },
    ])
    it.later(5 * 60_000)
    await it.validate()
    expect(it.created()).toBe(2)
    expect(it.log.records(LINE)).toHaveLength(1)
    it.nova.forbidden.delete('os-remote-consoles')
    it.later(5 * 60_000)
    await it.validate()
    expect(it.authority.validation).toBe('fresh')
  })

  it('no console opens if the proxy may not show servers either', async () => {
    await using it = await started()
    it.nova.forbidden.add('os-remote-consoles').add('servers:show')
    await expect(it.validate()).rejects.toEqual(refused('authority_unavailable', 'role admin'))
  })

  it('no console opens with validate = "fresh", and the refusal names the role', async () => {
    await using it = await started({ validate: 'fresh' })
    it.nova.forbidden.add('os-remote-consoles')
    await expect(it.validate()).rejects.toEqual(refused('authority_unavailable', 'os-remote-consoles'))
  })

  it('the server’s state decides if the route is missing', async () => {
    const fetch: Fetch = async (url, init) =>
      init.method === 'POST' ? new Response('404 Not Found', { status: 404 }) : globalThis.fetch(url, init)
    await using it = await started({ fetch, server: { vmState: 'paused' } })
    expect(await it.validate()).toMatchObject(SERIAL)
    it.change({ vmState: 'stopped' })
    it.later(1000)
    await expect(it.validate()).rejects.toEqual(refused('switched_off', 'stopped'))
  })

  it('the server’s state decides if the route answers 404 for a server that exists', async () => {
    await using it = await started({ server: { consoles: { serial: 404 } } })
    expect(await it.validate()).toMatchObject(SERIAL)
    expect(it.authority.validation).toBe('untried')
  })
})

describe('with validate = "state"', () => {
  it.each(['active', 'paused', 'rescued', 'resized'])('a server that is %s can have a console', async (vmState) => {
    await using it = await started({ validate: 'state', server: { vmState } })
    expect(await it.validate()).toMatchObject(SERIAL)
    expect(it.created()).toBe(0)
  })

  it.each(['building', 'suspended', 'soft-delete', 'deleted', 'error'])(
    'a server that is %s has no console',
    async (vmState) => {
      await using it = await started({ validate: 'state', server: { vmState } })
      await expect(it.validate()).rejects.toEqual(refused('console_unreachable', vmState))
    },
  )

  it.each(['stopped', 'shelved', 'shelved_offloaded'])('a server that is %s is switched off', async (vmState) => {
    await using it = await started({ validate: 'state', server: { vmState } })
    await expect(it.validate()).rejects.toEqual(refused('switched_off', vmState))
  })

  it.each(['deleting', 'powering-off', 'suspending', 'shelving', 'rebuilding', 'resize_migrating', 'soft-deleting'])(
    'an active server that is %s has no console',
    async (taskState) => {
      await using it = await started({ validate: 'state', server: { taskState } })
      await expect(it.validate()).rejects.toEqual(refused('console_unreachable', taskState))
    },
  )

  it.each(['rebooting', 'rebooting_hard', 'migrating', 'image_snapshot'])(
    'an active server that is %s keeps its console',
    async (taskState) => {
      const powerState = taskState.startsWith('reboot') ? 4 : 1
      await using it = await started({ validate: 'state', server: { taskState, powerState } })
      expect(await it.validate()).toMatchObject(SERIAL)
    },
  )

  it.each([
    [4, 'switched_off'],
    [6, 'switched_off'],
    [7, 'console_unreachable'],
  ] as const)('an active server whose power state is %i is refused as %s', async (powerState, refusal) => {
    await using it = await started({ validate: 'state', server: { powerState } })
    await expect(it.validate()).rejects.toEqual(refused(refusal, `power state is ${powerState}`))
  })

  it('a server without a host has no console', async () => {
    await using it = await started({ validate: 'state', server: { host: '' } })
    await expect(it.validate()).rejects.toEqual(refused('console_unreachable', 'has no host'))
  })

  it('a token is refused once its server is on another host, and a token from that host is accepted', async () => {
    await using it = await started({ validate: 'state' })
    await it.validate()
    it.nova.tokens.set(OTHER_TOKEN, it.nova.tokens.get(TOKEN)!)
    it.change({ host: 'compute-2' })
    it.later(1000)
    await expect(it.validate()).rejects.toEqual(refused('console_moved', 'another host'))
    expect(await it.validate('serial', OTHER_TOKEN)).toMatchObject(SERIAL)
  })

  it('one request serves names and state, and the state is reused for a second', async () => {
    await using it = await started({ validate: 'state' })
    const admission = await it.admit()
    await Promise.all([it.authority.names!(INSTANCE, never), it.confirm(admission), it.confirm(admission)])
    expect(it.shown()).toBe(1)
    it.later(999)
    await it.confirm(admission)
    expect(it.shown()).toBe(1)
    it.later(1)
    await it.confirm(admission)
    expect(it.shown()).toBe(2)
  })

  it('no console opens while Nova fails, and the proxy is unready', async () => {
    await using it = await started({ validate: 'state' })
    const admission = await it.admit()
    it.nova.behave(503)
    for (let i = 0; i < 5; i += 1) {
      const other = { ...admission, instance: `instance-${i}` }
      await expect(it.confirm(other)).rejects.toEqual(refused('authority_unavailable'))
    }
    await expect((async () => it.authority.health.check(never))()).rejects.toThrow()
  })
})

it('with validate = "off" no server is shown and no console is created', async () => {
  await using it = await started({ validate: 'off', server: { vmState: 'stopped', consoles: {} } })
  expect(await it.validate()).toMatchObject(SERIAL)
  expect([it.created(), it.shown()]).toEqual([0, 0])
  expect(it.authority.validation).toBe('off')
})
