/** Desktops of VNC servers other than QEMU: `hypervisor.hosts."address".identity`. */
import { silentLogger } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { novnc } from '../../src/consoles/novnc.ts'
import { EXEMPT, settingsOf } from '../../src/hypervisor/hosts.ts'
import { InputPermission } from '../../src/hypervisor/input-permission.ts'
import { Refused } from '../../src/refused.ts'
import { nameObjection } from '../../src/rfb/identity.ts'
import { INSTANCE } from '../fixture.ts'
import { scriptedLeg } from '../hypervisor/scripted-leg.ts'
import { consoleOf } from './named-desktop.ts'

const LIBVIRT_NAME = 'instance-0000002a'
const SERVER = { name: 'web-1', instanceName: LIBVIRT_NAME }

const toml = (identity: string, setting = 'enforce', address = '127.0.0.1') =>
  `[hypervisor]\nidentity = "${setting}"\nhosts = { "${address}" = { identity = "${identity}" } }`

/** Opens the instance's console, whose desktop is called `desktop`. */
const consoleAt = (config: string, desktop: string) => consoleOf(config, SERVER, desktop)

describe('with identity enforced, a host with a named desktop', () => {
  it.each([
    ['a fixed name', 'ironic console', 'ironic console'],
    ['the libvirt name in it', 'x11vnc of {instance}', `x11vnc of ${LIBVIRT_NAME}`],
    ['the UUID in it', '{instance}: 0', `${INSTANCE}: 0`],
  ])('shows a desktop with %s', async (_, identity, desktop) => {
    expect((await consoleAt(toml(identity), desktop)).outcome).toBe('shown')
  })

  it.each([
    ['another desktop', 'ironic console', 'ironic console 2'],
    ['the desktop of another instance', 'x11vnc of {instance}', 'x11vnc of instance-0000002b'],
    ['the placeholder itself', 'x11vnc of {instance}', 'x11vnc of {instance}'],
    ['a QEMU with the name of the instance', 'ironic console', `QEMU (${LIBVIRT_NAME})`],
  ])('refuses %s before relaying a byte of it', async (_, identity, desktop) => {
    const { outcome, detail } = await consoleAt(toml(identity), desktop)
    expect(outcome).toBe(4009)
    expect(detail).toContain(`the desktop is called ${JSON.stringify(desktop)}; hypervisor.hosts names it `)
  })

  it('needs the names of the instance only if its desktop is named after them', async () => {
    const refused = new Refused('authority_unavailable', 'Nova does not answer')
    const identify = (identity: string) => {
      const { identify } = novnc({ schemes: ['none'], hosts: { '127.0.0.1': { identity } } })
      const leg = { hypervisor: scriptedLeg().leg, rest: Buffer.alloc(0) }
      const opening = {
        ...{ admission: { instance: INSTANCE, host: '127.0.0.1', port: 5900 }, query: new URLSearchParams() },
        input: new InputPermission('control'),
        ...({ identity: 'enforce', names: Promise.resolve({ refused }), log: silentLogger() } as const),
      }
      return identify(leg, { timeoutMs: 1000, signal: new AbortController().signal }, opening)
    }
    await expect(identify('ironic console')).resolves.toHaveProperty('hypervisor')
    await expect(identify('x11vnc of {instance}')).rejects.toBe(refused)
  })

  it('does not affect other hosts', async () => {
    const other = toml('ironic console', 'enforce', '10.0.0.9')
    expect((await consoleAt(other, `QEMU (${LIBVIRT_NAME})`)).outcome).toBe('shown')
    expect((await consoleAt(other, 'ironic console')).outcome).toBe(4009)
  })
})

it('an exempt host shows any desktop without a warning', async () => {
  expect(await consoleAt(toml(EXEMPT), 'anything')).toMatchObject({ outcome: 'shown', warned: [] })
  expect(await consoleAt(toml(EXEMPT, 'warn'), 'anything')).toMatchObject({ outcome: 'shown', warned: [] })
})

it('logs a warning for another desktop with identity = warn', async () => {
  const { outcome, warned } = await consoleAt(toml('ironic console', 'warn'), 'a desktop')
  expect(outcome).toBe('shown')
  expect(warned).toEqual(['the desktop is called "a desktop"; hypervisor.hosts names it "ironic console"'])
})

it('the settings of a host are found by every form of its address', () => {
  const hosts = { '10.0.0.9': { identity: EXEMPT }, '2001:db8::1': { identity: 'x' } }
  expect(settingsOf(hosts, '::ffff:10.0.0.9').identity).toBe(EXEMPT)
  expect(settingsOf(hosts, '2001:DB8:0::1').identity).toBe('x')
  expect(settingsOf(hosts, 'toString')).toEqual({})
})

it('the placeholder is replaced with any characters of a name unchanged', () => {
  expect(nameObjection('vm $& 1', { names: ['$& 1'] }, 'vm {instance}')).toBeUndefined()
  expect(nameObjection('a and a', { names: ['a'] }, '{instance} and {instance}')).toBeUndefined()
  expect(nameObjection('vm b', { names: ['a'], missing: 'why' }, 'vm {instance}')).toBe(
    'the desktop is called "vm b"; hypervisor.hosts names it "vm a"; why',
  )
})
