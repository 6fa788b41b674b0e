import { consoleTypes } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { expect, it, vi } from 'vitest'
import { Limits } from '../../src/admit/limits.ts'
import { SingleUse } from '../../src/admit/single-use.ts'
import { admissionOf } from '../../src/authority/authority.ts'
import { type Console, noHandshake, type Opening } from '../../src/consoles/console.ts'
import { type GuestCheck, kindOf, portOptionalTypes, servedConsoleTypes } from '../../src/consoles/kinds.ts'
import { needsInstanceNames, secureLeg } from '../../src/consoles/secure.ts'
import type { IdentitySetting } from '../../src/hypervisor/config.ts'
import { InputPermission } from '../../src/hypervisor/input-permission.ts'
import type { PlainLeg } from '../../src/hypervisor/leg.ts'
import { scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const HANDSHAKELESS: Console = { subprotocols: [], acceptsText: false, secure: noHandshake, greet: noHandshake }
const RFB = Buffer.from('RFB 003.008\n')
const SPICE = Buffer.from('REDQ\x02\0\0\0\x02\0\0\0')
const LIMITS = { timeoutMs: 1000, signal: new AbortController().signal }
const PARTIES = { tokenDigest: 't', instance: 'i', client: 'c' }

async function secured(guestCheck: GuestCheck, identity: IdentitySetting, console: Console = HANDSHAKELESS) {
  const scripted = scriptedLeg()
  const warn = vi.fn()
  const input = new InputPermission('control')
  const opening = { identity, input, log: { warn } as unknown as Logger } as Opening
  const { hypervisor } = await secureLeg({ guestCheck }, console, scripted.leg as PlainLeg, LIMITS, opening)
  return { ...scripted, ...viewerOf(hypervisor), warn }
}

it.each(['spice-alone', 'no-identifying-protocol'] as const)(
  'a type without a handshake, whose guestCheck is %s, ends before another guest under identity enforce',
  async (guestCheck) => {
    const { say, seen, closed } = await secured(guestCheck, 'enforce')
    say(RFB)
    expect(await closed).toMatchObject({ reason: 'wrong_instance' })
    expect(seen()).toHaveLength(0)
  },
)

it('a type without a handshake, whose guestCheck is spice-alone, relays SPICE under identity enforce', async () => {
  const { say, seen } = await secured('spice-alone', 'enforce')
  say(SPICE)
  expect(seen()).toEqual(SPICE)
})

it('a type without a handshake logs another guest with identity = warn, and relays it without a log record with off', async () => {
  const warned = await secured('no-identifying-protocol', 'warn')
  warned.say(RFB)
  expect([warned.seen(), warned.warn.mock.calls.length]).toEqual([RFB, 1])
  const off = await secured('no-identifying-protocol', 'off')
  off.say(RFB)
  expect([off.seen(), off.warn.mock.calls.length]).toEqual([RFB, 0])
})

it('a type whose guest sends its name is identified by its console, unless identity is off', async () => {
  const identify = vi.fn(async (leg) => leg)
  const console = { ...HANDSHAKELESS, identify } as Console
  await secured('desktop-name', 'enforce', console)
  await secured('desktop-name', 'warn', console)
  await secured('desktop-name', 'off', console)
  expect(identify).toHaveBeenCalledTimes(2)
})

it('only a type whose guest sends its name needs the names of the instance, unless identity is off', () => {
  expect(needsInstanceNames({ guestCheck: 'desktop-name' }, 'enforce')).toBe(true)
  expect(needsInstanceNames({ guestCheck: 'desktop-name' }, 'off')).toBe(false)
  expect(needsInstanceNames({ guestCheck: 'uuid' }, 'enforce')).toBe(false)
})

it('connect info with the key tls_port belongs to the only type with portOptional, with or without a port', () => {
  const info = { instance_uuid: 'i', host: 'h', port: null, tls_port: 5901, internal_access_path: null }
  expect(portOptionalTypes).toHaveLength(1)
  expect(admissionOf(info as never)).toMatchObject({ type: portOptionalTypes[0], port: 0, tlsPort: 5901 })
})

it.each(servedConsoleTypes)('%s opens a second channel with a used token only if channelsShareToken', (type) => {
  const uses = new SingleUse()
  uses.take({ ...PARTIES, type }).opened()
  const second = () => uses.take({ ...PARTIES, type })
  if (consoleTypes[type].channelsShareToken) expect(second).not.toThrow()
  else expect(second).toThrow(expect.objectContaining({ refusal: 'unknown_token' }))
})

it('a token whose authority says that it is for single use opens one console, and another token any number', () => {
  const limits = new Limits({ maxTotal: 9, maxPerToken: 9, maxPerInstance: 9, maxPerClient: 9 })
  const enter = (singleUse?: boolean) => limits.enter({ ...PARTIES, type: 'novnc', singleUse }).opened()
  enter()
  enter()
  enter(true)
  expect(() => enter(true)).toThrow(expect.objectContaining({ refusal: 'unknown_token' }))
})

it.each(servedConsoleTypes)('%s enters with a used token only if the console file has used it', (type) => {
  const limits = new Limits({ maxTotal: 9, maxPerToken: 9, maxPerInstance: 9, maxPerClient: 9, singleUse: true })
  limits.use({ ...PARTIES, type: 'novnc' }).opened()
  const enter = () => limits.enter({ ...PARTIES, type })
  if (kindOf(type).tokenUsedBy === 'console-file') expect(enter).not.toThrow()
  else expect(enter).toThrow(expect.objectContaining({ refusal: 'unknown_token' }))
})
