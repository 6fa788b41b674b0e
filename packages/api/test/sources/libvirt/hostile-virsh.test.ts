/** Output of virsh from a hostile tenant or a broken hypervisor is either parsed or refused with an Error. */

import { silentLogger } from '@oriel/runtime'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLibvirtSource } from '../../../src/index.ts'
import { createReach } from '../../../src/sources/guests/reach.ts'
import type { LibvirtSourceConfig } from '../../../src/sources/libvirt/config.ts'
import { readDomainXml } from '../../../src/sources/libvirt/domain-xml.ts'
import { parseEvent, parseListing, parseStates } from '../../../src/sources/libvirt/virsh.ts'
import { configOf } from '../../support.ts'
import { fakeVirsh } from './fake-virsh.ts'

const HOST = '10.0.0.5'
const reach = createReach(HOST, { console_hosts: [], console_ports: '5900-65535', console_sockets: ['/*/*/*'] })
const ID = '6695eb01-f6a4-8304-79aa-97f2502e193a'
const OTHER = 'a0000000-0000-4000-8000-000000000001'

/** As libvirt 9 writes that of a running guest, shortened. */
const realXml = (uuid: string) => `<domain type='qemu' id='7'>
  <name>web-1</name>
  <uuid>${uuid}</uuid>
  <metadata><nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"><nova:name>a &lt;b&gt; &amp; c</nova:name><!-- note --><![CDATA[<!DOCTYPE x>]]></nova:instance></metadata>
  <memory unit='KiB'>65536</memory>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='tcp'><source mode='bind' host='0.0.0.0' service='10012' tls='no'/><protocol type='raw'/><target type='isa-serial' port='0'/><alias name='serial0'/></serial>
    <console type='tcp'><source mode='bind' host='0.0.0.0' service='10012' tls='no'/><protocol type='raw'/><target type='serial' port='0'/></console>
    <graphics type='vnc' port='5900' autoport='yes' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>
    <graphics type='spice' port='5901' tlsPort='5902' autoport='yes' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>
  </devices>
  <seclabel type='none'/>
</domain>
`

/** Pieces that parsers trip over. */
const PIECES = [
  '<![CDATA[',
  ']]>',
  '<!--',
  '-->',
  '<!DOCTYPE d [<!ENTITY a "b">]>',
  '<!ENTITY',
  '<?xml',
  '?>',
  '&a;',
  '&#0;',
  '&#x110000;',
  '&lt;',
  '</domain>',
  '<domain>',
  '<devices>',
  '</devices>',
  '<__proto__>',
  '<constructor/>',
  "__proto__='x'",
  '\0',
  '\ud800',
  '<',
  '>',
  '"',
  "'",
  '/>',
  '<a>'.repeat(2000),
]

/** `text` with some of its runs replaced by pieces or by any text. */
const mutated = (text: string): fc.Arbitrary<string> =>
  fc
    .array(
      fc.record({
        at: fc.nat(text.length),
        removed: fc.nat(40),
        added: fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 20 }), fc.constant('')),
      }),
      { minLength: 1, maxLength: 5 },
    )
    .map((changes) =>
      changes.reduce((xml, { at, removed, added }) => xml.slice(0, at) + added + xml.slice(at + removed), text),
    )

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 20 }).map((pieces) => pieces.join('')),
)

describe('the output of virsh', () => {
  const uuid = fc.constantFrom(ID, OTHER, ID.toUpperCase(), 'not-a-uuid')
  const name = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(' x', "a': Stopped Destroyed", '-', '__proto__'))
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(uuid, fc.constantFrom('-', '7', '-7', ''), name).map((parts) => parts.join(' ')),
    name.map((each) => `Domain: '${each}'`),
    fc.nat().map((state) => `  state.state=${state}`),
    fc.nat().map((reason) => `  state.reason=${reason}`),
    name.map((each) => `event 'lifecycle' for domain '${each}': Stopped Destroyed`),
  )

  test('is parsed line by line, and an unparseable line affects no other', () => {
    const property = fc.property(fc.array(line), (lines) => {
      const before = `${lines.join('\n')}\n`
      const { domains } = parseListing(`${before}${ID} 7 web-1\n`)
      expect(domains.at(-1)).toEqual({ uuid: ID, name: 'web-1', runId: '7' })
      for (const domain of domains) expect(domain.uuid).toMatch(/^[0-9a-f-]{36}$/)
      const states = parseStates(`${before}\nDomain: 'web-1'\n  state.state=1\n  state.reason=5\n`)
      expect(states.get('web-1')).toEqual({ state: 1, reason: 5 })
      for (const each of lines) expect(parseEvent(each)?.event ?? '').toMatch(/^[A-Za-z]*$/)
    })
    fc.assert(property)
  })

  test('is parsed in linear time', { timeout: 20_000 }, () => {
    for (const filler of ["'", "': a", ' ', "Domain: '", '1', "event 'lifecycle' for domain '"]) {
      const text = filler.repeat(4096).slice(0, 4096)
      parseEvent(`event 'lifecycle' for domain '${text}`)
      parseListing(`${ID} 1 ${text.repeat(100)}`)
      parseStates(`Domain: '${text.repeat(100)}`)
    }
  })
})

describe('domain XML', () => {
  test('with any text is read as far as it is valid, or refused with an Error', () => {
    const property = fc.property(fc.oneof(anyText, mutated(realXml(ID))), (xml) => {
      try {
        const { uuid, consoles, unreachable } = readDomainXml(xml, reach)
        expect(uuid).toBeTypeOf('string')
        for (const { host, port, tlsPort } of Object.values(consoles)) {
          expect(host).toBe(HOST)
          for (const each of [port, tlsPort ?? null]) {
            if (each !== null) expect(each >= 5900 && each <= 65535).toBe(true)
          }
        }
        for (const why of Object.values(unreachable)) expect(why).toBeTypeOf('string')
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
        if (error instanceof Error && error.name === 'AssertionError') throw error
      }
      expect(({} as { x?: unknown }).x).toBeUndefined()
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test.each([
    ['comments that are not closed', '<!--'.repeat(200_000)],
    ['CDATA that is not closed', '<![CDATA['.repeat(100_000)],
    ['elements that are not closed', '<a>'.repeat(300_000)],
    ['attributes', `<domain ${"a='b' ".repeat(150_000)}>`],
    ['entities', `<domain>${'&amp;'.repeat(200_000)}</domain>`],
    ['blanks', `<domain${' '.repeat(1_000_000)}`],
  ])('of a mebibyte of %s is read or refused within seconds', { timeout: 20_000 }, (_, xml) => {
    try {
      readDomainXml(xml, reach)
    } catch (error) {
      expect(error).toBeInstanceOf(Error)
    }
  })

  test('of one domain affects no other domain, with any text', { timeout: 60_000 }, async () => {
    const config = configOf(`
      [[sources]]
      kind = "libvirt"
      uri = "qemu:///system"
      host = "${HOST}"
      project_id = "p"
      poll_seconds = 3600
      answer_timeout_ms = 30000`).sources[0] as LibvirtSourceConfig
    const running = { runId: 1, state: 1, reason: 1 }
    await using virsh = await fakeVirsh()
    const xmls = fc.sample(fc.oneof(anyText, mutated(realXml(OTHER))), 12)
    for (const xml of xmls) {
      await virsh.domains(
        { uuid: OTHER, name: 'odd', ...running, xml },
        { uuid: ID, name: 'web-1', ...running, xml: realXml(ID) },
      )
      await using source = await createLibvirtSource(config, { log: silentLogger(), program: virsh.program })
      await source.check?.()
      const [honest, odd] = [(await source.find(ID))!, (await source.find(OTHER))!]
      await source.console(odd, 'vnc', 'novnc').catch((error: unknown) => expect(error).toBeInstanceOf(Error))
      expect(await source.console(honest, 'vnc', 'novnc')).toEqual({ host: HOST, port: 5900 })
    }
  })
})
