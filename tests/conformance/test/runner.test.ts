/** The runner itself: a comparison that sees nothing would let every recording pass. */

import { once } from 'node:events'
import { createServer } from 'node:net'
import { minor } from '@oriel/contract'
import { recordedMicroversions } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { compare } from '../src/compare.ts'
import { decide } from '../src/decisions.ts'
import { type Answer, exchange } from '../src/exchange.ts'
import { expectationOf } from '../src/expectation.ts'
import { factsOf } from '../src/facts.ts'
import { fill, fits } from '../src/placeholders.ts'
import { convertRange, resolveLatest } from '../src/recorded-range.ts'
import type { Vector, VectorRequest } from '../src/vectors.ts'

const values = new Map([
  ['server_id', 'ab-cd'],
  ['url_base', 'http://h:1'],
  ['auth:member', 'm'],
])
const uuid = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

describe('placeholders', () => {
  it.each([
    ['/servers/{{server_id}}/x', '/servers/ab-cd/x'],
    ['{{SERVER_ID}} {{server_id_nodash}} {{server_id_pct}}', 'AB-CD abcd ab%2Dcd'],
    ['{{{server_id}}', '{ab-cd'],
    ['{{auth:member}} {{AUTH:member}}', 'm M'],
  ])('fill %s', (text, filled) => {
    expect(fill(text, values)).toBe(filled)
  })

  it('refuse a name without a value', () => {
    expect(() => fill('{{nobody}}', values)).toThrow('{{nobody}}')
  })

  it.each([
    ['http://h:1/?token={{token}}', `http://h:1/?token=${uuid}`, true],
    ['http://h:1/?token={{token}}', 'http://h:1/?token=abc', false],
    ['{{url_base}}/v2.1/', 'http://h:1/v2.1/', true],
    ['a.b', 'axb', false],
    ['a', 'ab', false],
  ])('%s stands for %s: %s', (recorded, actual, expected) => {
    expect(fits(actual, recorded, values)).toBe(expected)
  })
})

describe('the recorded range of microversions', () => {
  const { max } = recordedMicroversions
  it.each([
    ['OpenStack-API-Version', 'compute latest', `compute ${max}`],
    ['X-OpenStack-Nova-API-Version', 'latest', max],
    ['openstack-api-version', 'compute latest x', 'compute latest x'],
    ['OpenStack-API-Version', 'compute LATEST', 'compute LATEST'],
    ['X-Other', 'latest', 'latest'],
  ])('resolves latest in %s: %s', (name, value, resolved) => {
    expect(resolveLatest({ [name]: value })).toEqual({ [name]: resolved })
    expect(resolveLatest({ [name]: [value, '2.6'] })).toEqual({ [name]: [resolved, '2.6'] })
  })

  it('is converted to that of an API which serves more, apart from the versions of answers', () => {
    const next = `2.${minor(max) + 1}`
    const recorded = (latest: string, refused: string) =>
      JSON.stringify({
        headers: { 'OpenStack-API-Version': `compute ${max}`, 'X-OpenStack-Nova-API-Version': refused },
        message: `Version ${refused} is not supported by the API. Minimum is 2.1 and maximum is ${latest}.`,
      })
    const document = (latest: string) => `{"version": "${latest}", "min_version": "2.1"}`
    expect(convertRange(recorded(max, next), '2.200')).toBe(recorded('2.200', '2.201'))
    expect(convertRange(recorded(max, next), max)).toBe(recorded(max, next))
    expect(convertRange(document(max), '2.200')).toBe(document('2.200'))
    expect(convertRange(JSON.stringify(document(max)), '2.200')).toBe(JSON.stringify(document('2.200')))
  })
})

describe('comparison', () => {
  const versionHeaders = { 'OpenStack-API-Version': 'compute 2.6', 'X-OpenStack-Nova-API-Version': '2.6' }
  const expected = expectationOf({
    status: 404,
    headers: {
      'Content-Type': 'application/json; charset=UTF-8',
      ...versionHeaders,
      Vary: Object.keys(versionHeaders),
      'X-Compute-Request-ID': '{{request_id}}',
      'X-OpenStack-Request-ID': '{{request_id}}',
    },
    body: { itemNotFound: { code: 404, message: 'Instance {{server_id}} could not be found.' } },
  })
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    ...versionHeaders,
    Vary: 'X-OpenStack-Nova-API-Version, OpenStack-API-Version',
    'X-Compute-Request-ID': 'req-1',
    'X-OpenStack-Request-ID': 'req-1',
  }
  const body = { itemNotFound: { code: 404, message: 'Instance ab-cd could not be found.' } }
  const answer = (change: { status?: number; headers?: Record<string, string>; body?: unknown }): Answer => ({
    status: change.status ?? 404,
    headers: Object.entries({ ...headers, ...change.headers }).filter(([, value]) => value !== ''),
    body: Buffer.from(JSON.stringify(change.body ?? body)),
  })

  it('reports nothing for a response as recorded', () => {
    expect(compare(answer({}), expected, values)).toEqual([])
  })

  it.each([
    ['status', { status: 400 }, 'status is 400, not 404'],
    ['media type', { headers: { 'content-type': 'text/html' } }, 'media type is "text/html"'],
    ['standard header', { headers: { 'OpenStack-API-Version': '' } }, 'OpenStack-API-Version is absent'],
    ['legacy header', { headers: { 'X-OpenStack-Nova-API-Version': '2.7' } }, 'X-OpenStack-Nova-API-Version is "2.7"'],
    ['Vary', { headers: { Vary: 'OpenStack-API-Version' } }, 'Vary is'],
    ['missing request ids', { headers: { 'X-Compute-Request-ID': '' } }, 'X-Compute-Request-ID is missing'],
    ['unequal request ids', { headers: { 'X-Compute-Request-ID': 'req-2' } }, 'the request ids differ'],
    ['key', { body: { badRequest: body.itemNotFound } }, 'the fault is "badRequest"'],
    ['code', { body: { itemNotFound: { ...body.itemNotFound, code: 400 } } }, 'its code is 400'],
    ['message', { body: { itemNotFound: { code: 404, message: 'No.' } } }, 'the message is "No."'],
  ])('sees another %s', (_, change, fault) => {
    expect(compare(answer(change), expected, values)).toEqual([expect.stringContaining(fault)])
  })

  it('reports an extra member in a success', () => {
    const success = { ...expected, body: { kind: 'json', value: { output: '' } } } as const
    expect(compare(answer({ body: { output: '' } }), success, values)).toEqual([])
    expect(compare(answer({ body: { output: '', more: 1 } }), success, values)).toHaveLength(1)
  })
})

describe('decisions', () => {
  const vector = (request: Partial<VectorRequest>, response: Vector['response']): Vector => ({
    name: 'a case',
    setup: { as: 'member', server: 'active' },
    request: {
      method: 'GET',
      path: '/v2.1/nope',
      headers: { 'X-Auth-Token': '{{auth:member}}' },
      body: null,
      ...request,
    },
    response,
    source: 'this test',
  })
  const decided = (one: Vector) => decide(expectationOf(one.response), factsOf(one))

  it('do not change an ordinary response', () => {
    const one = vector({}, { status: 200, headers: { 'Content-Type': 'application/json' }, body: { output: '' } })
    expect(decided(one)).toEqual({ expected: expectationOf(one.response), rows: [] })
  })

  it('replace a page by a fault', () => {
    const page = '404 Not Found\n\nThe resource could not be found.\n\n   '
    const one = vector({}, { status: 404, headers: { 'Content-Type': 'text/plain; charset=UTF-8' }, body: page })
    const { expected, rows } = decided(one)
    expect(rows.map(({ id }) => id)).toEqual(['D2'])
    expect(expected).toMatchObject({
      mediaType: 'application/json',
      body: { key: 'itemNotFound', code: 404, message: 'The resource could not be found.' },
    })
  })
})

describe('exchange', () => {
  it('writes the request as recorded and reads a chunked response', async () => {
    const server = createServer((socket) => {
      socket.once('data', (bytes) => {
        sent = bytes.toString('latin1')
        socket.end(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n',
        )
      })
    })
    let sent = ''
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = `127.0.0.1:${(server.address() as { port: number }).port}`
    const headers = { 'x-AUTH-token': 't', Twice: ['1', '2'] }
    const answer = await exchange(address, { method: 'POST', path: '/a/../b', headers, body: '{}' })
    server.close()
    expect(sent.split('\r\n')).toEqual([
      'POST /a/../b HTTP/1.1',
      `Host: ${address}`,
      'x-AUTH-token: t',
      'Twice: 1',
      'Twice: 2',
      'Content-Length: 2',
      'Connection: close',
      '',
      '{}',
    ])
    expect(answer).toEqual({
      status: 200,
      headers: [
        ['Transfer-Encoding', 'chunked'],
        ['X-A', '1'],
        ['x-a', '2'],
      ],
      body: Buffer.from('abc'),
    })
  })
})
