/** What a watcher's client can send to a SPICE server through a page. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { watchSpice } from '../../src/consoles/spice-watcher.ts'
import { buildLinkMessage, buildLinkReply, u32 } from '../../src/spice/wire/link.ts'
import { type ChannelName, channelNames, channelTypes } from '../../src/spice/wire/protocol.ts'
import { hiddenFrom, isWithheld } from '../../src/spice/wire/watcher-policy.ts'
import { cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const CAPABILITIES = { mini: 0x0b, full: 0x03, old: 0x00 }
type Capability = keyof typeof CAPABILITIES
const TICKET = Buffer.alloc(128, 0x55)
const OPEN = channelNames.filter((name) => !hiddenFrom('watch', new Set()).has(name))

const linkOf = (name: ChannelName, common: number) =>
  buildLinkMessage({ connectionId: 0, channelType: channelTypes[name], channelId: 0, common: [common], channel: [] })
const replyOf = (common: number) =>
  buildLinkReply({ publicKey: Buffer.alloc(162), common: [common], channel: [0xffff_ffff] })

interface Message {
  readonly type: number
  readonly body: Buffer
}

function encoded({ type, body }: Message, capability: Capability, subList = 0): Buffer {
  const mini = Buffer.concat([Buffer.of(type & 0xff, type >> 8), u32(body.length)])
  const full = Buffer.concat([Buffer.alloc(8), mini, u32(subList)])
  return Buffer.concat([capability === 'mini' ? mini : full, body])
}

/** A watcher whose link to channel `name` the server has accepted. */
function watching(name: ChannelName, capability: Capability = 'mini', server: Capability = capability) {
  const scripted = scriptedLeg()
  const viewer = viewerOf(watchSpice(scripted.leg))
  const link = linkOf(name, CAPABILITIES[capability])
  viewer.write(link)
  scripted.say(replyOf(CAPABILITIES[server]))
  const mechanism = capability === 'old' || server === 'old' ? [] : [u32(1)]
  const begin = Buffer.concat([...mechanism, TICKET])
  return { ...scripted, ...viewer, link, begin }
}

const message = fc.record({
  type: fc.integer({ min: 0, max: 0xffff }).map((n) => (n % 3 === 0 ? n : n % 130)),
  body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
})

describe('a watcher of spice-html5', () => {
  it('sends exactly the messages that are not withheld, however its bytes are cut', () => {
    const property = fc.property(
      fc.constantFrom(...OPEN),
      fc.constantFrom<Capability>('mini', 'full', 'old'),
      fc.array(message, { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (name, capability, messages, cuts) => {
        const it = watching(name, capability)
        const sent = Buffer.concat([it.begin, ...messages.map((each) => encoded(each, capability))])
        for (const piece of cut(sent, cuts)) it.write(piece)
        const passed = messages.filter(({ type }) => !isWithheld(name, type)).map((each) => encoded(each, capability))
        expect(it.heard()).toEqual(Buffer.concat([it.link, it.begin, ...passed]))
      },
    )
    fc.assert(property)
  })

  it('sends its link and its ticket one byte at a time', () => {
    const scripted = scriptedLeg()
    const viewer = viewerOf(watchSpice(scripted.leg))
    const link = linkOf('main', CAPABILITIES.mini)
    for (const byte of link) viewer.write(Buffer.of(byte))
    for (const byte of replyOf(CAPABILITIES.mini)) scripted.say(Buffer.of(byte))
    for (const byte of [...u32(1), ...TICKET]) viewer.write(Buffer.of(byte))
    expect(scripted.heard()).toEqual(Buffer.concat([link, u32(1), TICKET]))
    expect(viewer.seen()).toEqual(replyOf(CAPABILITIES.mini))
  })

  it.each([
    ['full headers where the server lacks the short ones', 'mini', 'full'],
    ['no mechanism where the server does not select one', 'mini', 'old'],
  ] as const)('sends %s', (_, client, server) => {
    const it = watching('inputs', client, server)
    const pong = encoded({ type: 3, body: Buffer.alloc(12) }, 'full')
    it.write(Buffer.concat([it.begin, encoded({ type: 101, body: u32(30) }, 'full'), pong]))
    expect(it.heard()).toEqual(Buffer.concat([it.link, it.begin, pong]))
  })

  it.each([101, 102, 103, 104, 111, 112, 113, 114, 200, 0xffff])(
    'sends no message %i of the channel inputs',
    (type) => {
      const it = watching('inputs')
      it.write(Buffer.concat([it.begin, encoded({ type, body: Buffer.alloc(64, 1) }, 'mini')]))
      expect(it.heard()).toEqual(Buffer.concat([it.link, it.begin]))
    },
  )

  it.each([105, 106, 107, 108])('sends no message %i of the channel main: mouse mode and agent', (type) => {
    const it = watching('main')
    it.write(Buffer.concat([it.begin, encoded({ type, body: Buffer.alloc(64, 1) }, 'mini')]))
    expect(it.heard()).toEqual(Buffer.concat([it.link, it.begin]))
  })

  it.each(channelNames.filter((name) => !OPEN.includes(name)))(
    'ends as protocol_error if it opens the channel %s, of which the server sees nothing',
    async (name) => {
      const it = watching(name)
      expect(await it.closed).toMatchObject({ reason: 'protocol_error', message: expect.stringContaining(name) })
      it.write(it.begin)
      expect(it.heard()).toHaveLength(0)
    },
  )

  it.each<[string, (it: ReturnType<typeof watching>) => void]>([
    ['a message with sub-messages', (it) => it.write(encoded({ type: 1, body: u32(0) }, 'full', 18))],
    ['the mechanism of SASL', (it) => it.write(Buffer.concat([u32(2), TICKET]))],
  ])('ends as protocol_error if it sends %s', async (what, send) => {
    const it = watching('display', 'full')
    if (what.startsWith('a message')) it.write(it.begin)
    send(it)
    expect(await it.closed).toMatchObject({ reason: 'protocol_error' })
  })

  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a link of 4 GiB', Buffer.concat([linkOf('main', 0).subarray(0, 12), u32(0xffff_ffff)])],
    [
      'an unknown channel',
      buildLinkMessage({ connectionId: 0, channelType: 77, channelId: 0, common: [], channel: [] }),
    ],
  ])('ends as protocol_error if it begins with %s', async (_, bytes) => {
    const scripted = scriptedLeg()
    const viewer = viewerOf(watchSpice(scripted.leg))
    viewer.write(bytes)
    expect(await viewer.closed).toMatchObject({ reason: 'protocol_error' })
    expect(scripted.heard()).toHaveLength(0)
  })

  it('ends as protocol_error if it sends much before the server has replied', async () => {
    const scripted = scriptedLeg()
    const viewer = viewerOf(watchSpice(scripted.leg))
    viewer.write(linkOf('inputs', CAPABILITIES.mini))
    viewer.write(Buffer.alloc(133))
    expect(await viewer.closed).toMatchObject({ reason: 'protocol_error' })
  })

  it('ends as console_lost if the server replies with something else', async () => {
    const it = watching('main')
    const scripted = scriptedLeg()
    const viewer = viewerOf(watchSpice(scripted.leg))
    viewer.write(it.link)
    scripted.say(Buffer.from('RFB 003.008\n\0\0\0\0\0\0\0'))
    expect(await viewer.closed).toMatchObject({ reason: 'console_lost' })
  })
})
