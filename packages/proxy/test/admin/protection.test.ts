/** The reports for operators about the protection against reused ports. */
import { loadConfig } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { describeProtection, proxyConfig, refineProxyConfig } from '../../src/index.ts'
import { open, running } from '../fixture.ts'

const load = (authority: string, more = '') => {
  const toml = `
    [authority]
    endpoint = "http://127.0.0.1:1/v2.1"
    ${authority}
    [[listen]]
    address = "127.0.0.1:0"
    consoles = ["novnc", "serial", "spice-html5"]
    ${more}`
  return loadConfig(proxyConfig, { toml, refine: refineProxyConfig })
}

describe('--check-config', () => {
  it('reports enforced identity and validation with kind nova, unless the keys change them', () => {
    expect(describeProtection(load(''))).toEqual([
      expect.stringMatching(
        /^novnc: identity enforce: the guest must show the name of the instance; validate fresh, or/,
      ),
      expect.stringMatching(/^spice-html5: identity enforce: only SPICE is relayed/),
      expect.stringMatching(/^serial: identity enforce: neither VNC nor SPICE is relayed/),
    ])
    const [novnc] = describeProtection(load('validate = "off"', '[hypervisor]\nidentity = "off"'))
    expect(novnc).toBe(
      'novnc: identity off: the guest is not checked; validate off: a port that changed hands is not detected',
    )
  })

  it('lists the hypervisors whose desktops have no QEMU name', () => {
    const hosts = `hosts = { "10.0.0.9" = { identity = "off" }, "10.0.0.10" = { identity = "ironic" }, "10.0.0.11" = {} }`
    const [novnc, , serial] = describeProtection(load('', `[hypervisor]\n${hosts}`))
    expect(novnc).toContain(
      'the guest must show the name of the instance (10.0.0.9: not checked; 10.0.0.10: the desktop must be called "ironic"); ',
    )
    expect(serial).not.toContain('10.0.0.9')
    const [unchecked] = describeProtection(load('', `[hypervisor]\nidentity = "off"\n${hosts}`))
    expect(unchecked).not.toContain('10.0.0.9')
  })

  it('reports validation by oriel-api, and identity = warn, with kind oriel', () => {
    const [novnc] = describeProtection(load('kind = "oriel"'))
    expect(novnc).toMatch(/^novnc: identity warn: .*; validate built in: oriel-api/)
  })
})

it('the configuration has a fault for authority.validate with kind oriel', () => {
  expect(() => load('kind = "oriel"\nvalidate = "fresh"')).toThrow(
    'authority.validate: has no effect with kind "oriel", because oriel-api validates every session itself: remove it',
  )
  expect(() => load('validate = "strict"')).toThrow(/authority\.validate/)
})

it.each(['enforce', 'warn'])(
  'the configuration has a fault for %s as the name of a desktop, since it is a setting of all hosts',
  (identity) => {
    expect(() => load('', `[hypervisor]\nhosts = { "10.0.0.9" = { identity = "${identity}" } }`)).toThrow(
      /hypervisor\.hosts\."10\.0\.0\.9"\.identity.*hypervisor\.identity decides/,
    )
  },
)

describe('/readyz', () => {
  it('reports the protection of each type once a console has determined it', async () => {
    await using run = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"' })
    const novnc = async () => {
      const { protection } = (await (await fetch(`http://${run.proxy.admin}/readyz`)).json()) as {
        protection: { novnc: string }
      }
      return protection.novnc
    }
    expect(await novnc()).toContain('validate fresh, or state')
    using _client = await open(run.address)
    expect(await novnc()).toContain('validate fresh: Nova creates a new console')
  })

  it('reports when Nova forbids the proxy to create consoles', async () => {
    await using run = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"' })
    run.nova.forbidden.add('os-remote-consoles')
    using _client = await open(run.address)
    const text = await (await fetch(`http://${run.proxy.admin}/readyz`)).text()
    expect(text).toContain('a port that changed hands on that host is not detected')
  })
})
