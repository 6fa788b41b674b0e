import { alive, at, EARLIEST, LATEST, microversions, type Route, routes } from '@oriel/contract'
import * as fc from 'fast-check'
import { Compile } from 'typebox/compile'
import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { schemaFault } from '../../src/http/schema-fault.ts'
import { type Answer, actionPath, consolesPath, testApi, tokenPath } from '../support.ts'

const version = fc.constantFrom(...microversions)
const names = [
  'remote_console',
  'protocol',
  'type',
  'length',
  'os-getVNCConsole',
  'os-getConsoleOutput',
  'extra',
  '__proto__',
]
const words = [
  'vnc',
  'novnc',
  'spice',
  'spice-html5',
  'spice-direct',
  'serial',
  'mks',
  'webmks',
  'rdp',
  'xvpvnc',
  '-1',
  '7',
]

/** JSON near enough to real bodies that some of it passes. */
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...words),
    fc.jsonValue({ maxDepth: 1 }),
    fc.integer({ min: -3, max: 3 }),
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value
const pair = fc.record({ protocol: fc.constantFrom(...words), type: fc.constantFrom(...words) })
const body = fc.oneof(
  json,
  pair.map((remote_console) => ({ remote_console })),
)

const wellFormed = ({ status, fault, headers }: Answer) =>
  status < 400 ||
  (fault !== undefined && fault.message !== '' && headers.get('Content-Type')?.startsWith('application/json') === true)

/** Actions, each with contents that some microversion takes. */
const actions = [
  ['getVncConsole', [{ type: 'novnc' }, { type: 'xvpvnc' }]],
  ['getSpiceConsole', [{ type: 'spice-html5' }]],
  ['getSerialConsole', [{ type: 'serial' }]],
  ['getConsoleOutput', [{}, { length: null }, { length: -1 }, { length: 2 }, { length: '7' }, { length: '-3' }]],
] as const

/** Whether the code behind the schema refuses: for a type without a driver, or a number below -1 in digits. */
const isRefusedBehind = ({ status, fault }: Answer, contents: unknown) => {
  const isText = typeof (contents as { length?: unknown } | null)?.length === 'string'
  const words = isText ? /must not be less than -1/ : /console type/
  return status === 400 && words.test(fault?.message ?? '')
}

describe('for any microversion and body', () => {
  test('remote-consoles accepts the contract’s bodies and refuses others with a fault', async () => {
    await using api = await testApi()
    const outcomes = new Set<string>()
    for (const v of microversions) {
      const lives = alive(routes.createRemoteConsole, v)
      const taken = at(routes.createRemoteConsole.body, v)
      const takes = async (value: unknown) => {
        const answer = await api.call('POST', consolesPath(), { version: v, body: value })
        expect(answer.status).toBeLessThan(500)
        expect(wellFormed(answer)).toBe(true)
        expect(answer.status === 404).toBe(!lives)
        // A pair that the schema takes may still not fit together; that refusal has words of its own.
        const schemaRefused = answer.status === 400 && !/console type/.test(answer.fault!.message)
        if (lives) expect(schemaRefused).toBe(!Check(taken, value))
        if (lives) outcomes.add(schemaRefused ? 'refused' : 'taken')
      }
      await fc.assert(fc.asyncProperty(body, takes), { numRuns: 8 })
    }
    expect(outcomes).toEqual(new Set(['taken', 'refused']))
  })

  test.each(actions)('%s accepts the contract’s bodies and refuses others with a fault', async (name, fitting) => {
    await using api = await testApi()
    const route: Route = routes[name]
    const payload = fc.oneof({ weight: 2, arbitrary: json }, { weight: 1, arbitrary: fc.constantFrom(...fitting) })
    const outcomes = new Set<string>()
    for (const v of microversions) {
      const taken = at(route.body!, v)
      const takes = async (value: unknown) => {
        const sent = { [route.action!]: JSON.parse(JSON.stringify(value)) as unknown }
        const answer = await api.call('POST', actionPath(), { version: v, body: sent })
        expect(wellFormed(answer)).toBe(true)
        if (!alive(route, v)) {
          expect(answer.status).toBe(route.outside ?? 404)
          return
        }
        const accepted = Check(taken, sent)
        expect(answer.status === 200 || isRefusedBehind(answer, sent[route.action!])).toBe(accepted)
        outcomes.add(accepted ? 'taken' : 'refused')
      }
      // Those that fit always take their turn: few microversions have the action, and chance might pick none for them.
      const examples = fitting.map((contents): [unknown] => [contents])
      await fc.assert(fc.asyncProperty(payload, takes), { numRuns: examples.length + 5, examples })
    }
    expect(outcomes).toEqual(new Set(['taken', 'refused']))
  })

  test('the action of a removed protocol is refused with the same message', async () => {
    await using api = await testApi()
    for (const v of microversions) {
      const refused = async (value: unknown) => {
        const answer = await api.call('POST', actionPath(), { version: v, body: { 'os-getRDPConsole': value } })
        const lives = alive(routes.getRdpConsole, v)
        expect(answer.status).toBe(lives ? 400 : 404)
        expect(/console type/.test(answer.fault!.message)).toBe(lives)
      }
      await fc.assert(fc.asyncProperty(json, refused), { numRuns: 3 })
    }
  })

  test('actions do not respond 500', async () => {
    await using api = await testApi()
    await fc.assert(
      fc.asyncProperty(version, body, async (v, value) => {
        const answer = await api.call('POST', actionPath(), { version: v, body: value })
        expect(answer.status).toBeLessThan(500)
        expect(wellFormed(answer)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('bytes that are not JSON do not cause a 500', async () => {
    await using api = await testApi()
    await fc.assert(
      fc.asyncProperty(version, fc.uint8Array({ minLength: 1, maxLength: 40 }), async (v, raw) => {
        for (const path of [consolesPath(), actionPath(), '/v2.1']) {
          const answer = await api.call('POST', path, { version: v, raw })
          expect(answer.status).toBeLessThan(500)
          expect(wellFormed(answer)).toBe(true)
        }
      }),
      { numRuns: 150 },
    )
  })

  test('paths, queries and version headers do not cause a 500', async () => {
    await using api = await testApi()
    // What a request line and a header may carry: visible ASCII.
    const visible = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) })
    await fc.assert(
      fc.asyncProperty(visible, visible, visible, async (segment, query, header) => {
        const path = `${tokenPath(segment)}?${query}`
        const answer = await api.call('GET', path, {
          as: 'admin',
          headers: { 'OpenStack-API-Version': `compute ${header}` },
        })
        expect(answer.status).toBeLessThan(500)
        expect(wellFormed(answer)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('the first fault', () => {
  const schemas = Object.values(routes).flatMap((route) =>
    'body' in route ? ([EARLIEST, '2.8', LATEST] as const).map((v) => at(route.body, v)) : [],
  )

  test('is found if and only if the compiled schema refuses the value', () => {
    const compiled = schemas.map((schema) => ({ schema, validator: Compile(schema) }))
    fc.assert(
      fc.property(fc.constantFrom(...compiled), body, ({ schema, validator }, value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value))
        expect(schemaFault(schema, parsed) === undefined).toBe(validator.Check(parsed))
      }),
      { numRuns: 1000 },
    )
  })
})
