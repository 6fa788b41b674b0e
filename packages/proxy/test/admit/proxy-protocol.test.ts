import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { parseListen } from '@oriel/runtime'
import { defaultTimeoutMs, temporaryPki, within } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseProxyHeader, RejectedHeader } from '../../src/admit/proxy-protocol.ts'
import { running, TOKEN, UPGRADE } from '../fixture.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const v2 = (command: number, family: number, body: Buffer, length = body.length) => {
  const fixed = Buffer.concat([SIGNATURE, Buffer.of(command, family, 0, 0)])
  fixed.writeUInt16BE(length, 14)
  return Buffer.concat([fixed, body])
}
const V4 = Buffer.from('c0000207c0000201dc04192a', 'hex')
const V6 = Buffer.from('20010db800000000000000000000000720010db8000000000000000000000001dc0401bb', 'hex')
const mapped = (v4: string) => Buffer.from(`00000000000000000000ffff${v4}`, 'hex')
/** 203.0.113.66 to 192.0.2.1, in HAProxy's format for an IPv4 client of `bind :::443 v4v6`. */
const MAPPED = Buffer.concat([mapped('cb007142'), mapped('c0000201'), Buffer.from('dc0401bb', 'hex')])
/** A TLV of type PP2_TYPE_UNIQUE_ID, as HAProxy can add. */
const TLV = Buffer.from('0500036f6e65', 'hex')

const right: [string, Buffer, string | undefined][] = [
  ['version 1, IPv4', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 56324 6080\r\n'), '192.0.2.7'],
  ['version 1, IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n'), '2001:db8::7'],
  ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  ['version 1, unknown with more', Buffer.from('PROXY UNKNOWN ffff:f...f:ffff ::1 65535 65535\r\n'), undefined],
  ['version 2, IPv4', v2(0x21, 0x11, V4), '192.0.2.7'],
  ['version 2, IPv4 with a TLV', v2(0x21, 0x11, Buffer.concat([V4, TLV])), '192.0.2.7'],
  ['version 2, IPv6', v2(0x21, 0x21, V6), '2001:db8::7'],
  ['version 1, IPv4-mapped', Buffer.from('PROXY TCP6 ::ffff:203.0.113.66 ::1 56324 443\r\n'), '203.0.113.66'],
  ['version 1, IPv4-mapped in hex', Buffer.from('PROXY TCP6 ::FFFF:cb00:7142 ::1 56324 443\r\n'), '203.0.113.66'],
  ['version 1, IPv6 not compressed', Buffer.from('PROXY TCP6 2001:0DB8:0:0::0007 ::1 56324 443\r\n'), '2001:db8::7'],
  ['version 2, IPv4-mapped', v2(0x21, 0x21, MAPPED), '203.0.113.66'],
  ['version 2, LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), undefined],
  ['version 2, LOCAL with addresses', v2(0x20, 0x11, V4), undefined],
  ['version 2, unspecified', v2(0x21, 0x00, TLV), undefined],
]

const wrong: [string, Buffer][] = [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
  ['TLS', Buffer.from('16030100', 'hex')],
  ['version 1 in small letters', Buffer.from('proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n')],
  ['version 1 without ports', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1\r\n')],
  ['version 1 with a name', Buffer.from('PROXY TCP4 localhost 192.0.2.1 1 2\r\n')],
  ['version 1 with the other family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['version 1 with a port too large', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n')],
  ['version 1 with words at the end', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n')],
  ['version 1 of UDP', Buffer.from('PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n')],
  ['version 1 without end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
  ['version 3', v2(0x31, 0x11, V4)],
  ['version 2 with an unknown command', v2(0x22, 0x11, V4)],
  ['version 2 of UDP', v2(0x21, 0x12, V4)],
  ['version 2 of a Unix socket', v2(0x21, 0x31, Buffer.alloc(216))],
  ['version 2 with addresses cut off', v2(0x21, 0x21, V4)],
  ['version 2 of 65 KB', v2(0x21, 0x11, V4, 0xffff)],
]

describe('a PROXY header', () => {
  it.each(right)('(%s) is parsed at its last byte, and contains the client', (_, header, client) => {
    const bytes = Buffer.concat([header, Buffer.from('GET /')])
    for (let length = 0; length < header.length; length += 1) {
      expect(parseProxyHeader(bytes.subarray(0, length))).toBeUndefined()
    }
    for (let length = header.length; length <= bytes.length; length += 1) {
      expect(parseProxyHeader(bytes.subarray(0, length))).toEqual({ client, bytes: header.length })
    }
  })

  it.each(wrong)('(%s) is rejected in any pieces', (_, bytes) => {
    expect(() => parseProxyHeader(bytes)).toThrow(RejectedHeader)
    for (let length = 0; length < bytes.length; length += 1) {
      try {
        expect(parseProxyHeader(bytes.subarray(0, length))).toBeUndefined()
      } catch (error) {
        expect(error).toBeInstanceOf(RejectedHeader)
      }
    }
  })

  it('CVE-2023-30575 length mis-count: never consumes more bytes than there are', () => {
    const begun = fc.tuple(fc.constantFrom(SIGNATURE, Buffer.from('PROXY '), Buffer.alloc(0)), fc.uint8Array())
    fc.assert(
      fc.property(begun, ([beginning, more]) => {
        const bytes = Buffer.concat([beginning, more])
        try {
          const header = parseProxyHeader(bytes)
          if (header) expect(header.bytes).toBeLessThanOrEqual(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(RejectedHeader)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

const listening = (more = '') => `proxy_protocol = true\n${more}\n[origin]\ntrusted_proxies = ["127.0.0.1"]\n`
const UPGRADE_TEXT = [`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, '', ''].join('\r\n')

/** Sends pieces one by one, and returns the first bytes of the response, or '' without one. */
async function answered(address: string, pieces: readonly Buffer[]): Promise<string> {
  const socket = connect({ ...parseListen(address), noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const piece of pieces) {
    if (socket.destroyed) break
    await new Promise((resolve) => socket.write(piece, resolve))
  }
  const { promise, resolve } = Promise.withResolvers<string>()
  socket.once('data', (data) => resolve(data.toString('latin1'))).once('close', () => resolve(''))
  const text = await within(promise, defaultTimeoutMs, () => 'neither an answer nor an end')
  socket.destroy()
  return text
}

describe('a listener with proxy_protocol', () => {
  it.each(right)('shows the client of the header (%s) in the session list and the log', async (_, header, client) => {
    await using proxy = await running({ toml: listening() })
    const text = await answered(proxy.address, [Buffer.concat([header, Buffer.from(UPGRADE_TEXT)])])
    expect(text).toContain('HTTP/1.1 101')
    await expect.poll(() => proxy.log.records('session opened')).toMatchObject([{ client: client ?? '127.0.0.1' }])
  })

  it('accepts header and request byte by byte', async () => {
    await using proxy = await running({ toml: listening() })
    const bytes = Buffer.concat([v2(0x21, 0x11, V4), Buffer.from(UPGRADE_TEXT)])
    const text = await answered(
      proxy.address,
      [...bytes].map((byte) => Buffer.of(byte)),
    )
    expect(text).toContain('HTTP/1.1 101')
    await expect.poll(() => proxy.log.records('session opened')).toMatchObject([{ client: '192.0.2.7' }])
  })

  it('counts limits by the client in the header', async () => {
    await using proxy = await running({ toml: `${listening()}[sessions]\nmax_per_client = 1` })
    const from = (address: string) => Buffer.from(`PROXY TCP4 ${address} 192.0.2.1 1 2\r\n${UPGRADE_TEXT}`)
    const held = connect(parseListen(proxy.address))
    held.write(from('192.0.2.7'))
    await once(held, 'data')
    expect(await answered(proxy.address, [from('192.0.2.7')])).toContain('HTTP/1.1 429')
    expect(await answered(proxy.address, [from('192.0.2.8')])).toContain('HTTP/1.1 101')
    held.destroy()
  })

  it('ignores X-Forwarded-For, which only the client can have sent', async () => {
    await using proxy = await running({ toml: listening() })
    const forged = UPGRADE_TEXT.replace('Host: h', 'Host: h\r\nX-Forwarded-For: 203.0.113.9')
    const text = await answered(proxy.address, [Buffer.from(`PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n${forged}`)])
    expect(text).toContain('HTTP/1.1 101')
    await expect.poll(() => proxy.log.records('session opened')).toMatchObject([{ client: '192.0.2.7' }])
  })

  it.each([...wrong, ['a request without a header', Buffer.from(UPGRADE_TEXT)] as [string, Buffer]])(
    'drops and logs %s',
    async (_, bytes) => {
      await using proxy = await running({ toml: listening() })
      expect(await answered(proxy.address, [bytes])).toBe('')
      expect(proxy.log.records('connection dropped: no valid PROXY header from a trusted balancer')).toMatchObject([
        { peer: '127.0.0.1' },
      ])
      expect(proxy.nova.requests).toHaveLength(0)
      expect(proxy.log.text()).not.toContain(TOKEN)
    },
  )

  it('drops a connection with a header from an untrusted address', async () => {
    await using proxy = await running({
      toml: 'proxy_protocol = true\n[origin]\ntrusted_proxies = ["192.0.2.1"]\n',
    })
    const header = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n')
    expect(await answered(proxy.address, [header, Buffer.from(UPGRADE_TEXT)])).toBe('')
    expect(proxy.log.records('connection dropped: no valid PROXY header from a trusted balancer')).toMatchObject([
      { detail: expect.stringContaining('origin.trusted_proxies') },
    ])
  })

  it('without proxy_protocol answers a header as a malformed request', async () => {
    await using proxy = await running({ toml: '[origin]\ntrusted_proxies = ["127.0.0.1"]' })
    const header = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n')
    expect(await answered(proxy.address, [Buffer.concat([header, Buffer.from(UPGRADE_TEXT)])])).toContain('400')
    expect(proxy.nova.requests).toHaveLength(0)
  })

  it('reads the header before TLS, and uses its client', async () => {
    await using pki = await temporaryPki()
    const file = (name: string) => join(pki.path, name)
    const tls = `tls = { cert = "${file('server-cert.pem')}", key = "${file('server-key.pem')}" }`
    await using proxy = await running({ toml: listening(tls) })
    const plain = connect(parseListen(proxy.address))
    plain.write(v2(0x21, 0x21, V6))
    const socket = connectTls({ socket: plain, ca: await readFile(file('ca-cert.pem')), servername: 'localhost' })
    await once(socket, 'secureConnect')
    socket.write(UPGRADE_TEXT)
    const [data] = await once(socket, 'data')
    expect(String(data)).toContain('HTTP/1.1 101')
    await expect.poll(() => proxy.log.records('session opened')).toMatchObject([{ client: '2001:db8::7' }])
    socket.destroy()
  })
})
