import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  alive,
  at,
  type BodyAt,
  history,
  LATEST,
  type Microversion,
  microversions,
  minor,
  type RemoteConsoleAt,
  type ResponseAt,
  type Route,
  type RouteNameAt,
  routes,
} from '../src/index.ts'
import type { UpTo } from '../src/versioned.ts'

const contractAt = (v: Microversion) =>
  JSON.stringify(
    Object.entries<Route>(routes)
      .filter(([, route]) => alive(route, v))
      .map(([name, { body, response, query, types, ...rest }]) => [
        name,
        rest.outside,
        ...[body, response, query, types?.body, types?.response].map((schema) => schema && at(schema, v)),
      ]),
  )

describe('history', () => {
  it('names exactly the microversions at which the contract changes', () => {
    const changes = microversions.filter((v, i) => i === 0 || contractAt(v) !== contractAt(microversions[i - 1]!))
    expect(changes).toEqual(Object.keys(history))
  })

  it('runs from the earliest to the latest without a gap', () => {
    const counted = Array.from({ length: minor(LATEST) }, (_, i) => i + 1)
    expect(microversions.map((v) => Number(v.slice(2)))).toEqual(counted)
    expect(microversions.at(-1)).toBe(LATEST)
  })
})

describe('routes at a microversion', () => {
  it('has the actions up to 2.5 and remote-consoles from 2.6', () => {
    const names = (v: Microversion) =>
      Object.entries(routes).flatMap(([name, route]) => (alive(route, v) ? [name] : []))
    expect(names('2.5')).toContain('getVncConsole')
    expect(names('2.5')).not.toContain('createRemoteConsole')
    expect(names('2.6')).toContain('createRemoteConsole')
    expect(names('2.6')).not.toContain('getVncConsole')
    expect(names('2.30')).not.toContain('showConsoleAuthToken')
    expect(names('2.31')).toContain('showConsoleAuthToken')
  })

  it.each([
    ['2.6', ['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5']],
    ['2.8', ['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5', 'webmks']],
    ['2.98', ['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5', 'webmks']],
    ['2.99', ['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5', 'webmks', 'spice-direct']],
  ] as const)('accepts these types at %s', (v, types) => {
    const { remote_console } = at(routes.createRemoteConsole.body, v).properties
    expect(remote_console.properties.type.anyOf.map((member) => member.const)).toEqual(types)
  })

  it('keeps TypeBox kinds, descriptions and openness', () => {
    const body = at(routes.createRemoteConsole.body, '2.6')
    expect(body).toMatchObject({ additionalProperties: false })
    expect(body.properties.remote_console.properties.type.anyOf[1]).toMatchObject({ const: 'xvpvnc', deprecated: true })
    expect(at(routes.getConsoleOutput.body, '2.1').properties['os-getConsoleOutput'].required).toBeUndefined()
  })
})

describe('types at a microversion', () => {
  it('know the pairs and when they came', () => {
    expectTypeOf<'novnc'>().toExtend<RemoteConsoleAt<'2.6'>['type']>()
    expectTypeOf<RemoteConsoleAt<'2.6'>['type']>().toEqualTypeOf<
      'novnc' | 'xvpvnc' | 'spice-html5' | 'serial' | 'rdp-html5'
    >()
    expectTypeOf<Extract<RemoteConsoleAt<'2.98'>, { protocol: 'spice' }>['type']>().toEqualTypeOf<'spice-html5'>()
    expectTypeOf<Extract<RemoteConsoleAt<'2.99'>, { protocol: 'spice' }>['type']>().toEqualTypeOf<
      'spice-html5' | 'spice-direct'
    >()
    // @ts-expect-error webmks arrives in 2.8
    const early: RemoteConsoleAt<'2.7'> = { protocol: 'mks', type: 'webmks' }
    // @ts-expect-error novnc is no type of spice
    const foreign: RemoteConsoleAt<'2.99'> = { protocol: 'spice', type: 'novnc' }
    expect([early.type, foreign.type]).toEqual(['webmks', 'novnc'])
  })

  it('know which routes live', () => {
    expectTypeOf<'getVncConsole'>().toExtend<RouteNameAt<'2.5'>>()
    expectTypeOf<'getVncConsole'>().not.toExtend<RouteNameAt<'2.6'>>()
    expectTypeOf<'createRemoteConsole'>().toExtend<RouteNameAt<'2.6'>>()
    expectTypeOf<'createRemoteConsole'>().not.toExtend<RouteNameAt<'2.5'>>()
    expectTypeOf<'showConsoleAuthToken'>().not.toExtend<RouteNameAt<'2.30'>>()
  })

  it('end at the latest', () => {
    expectTypeOf<UpTo<'2.3'>>().toEqualTypeOf<'2.1' | '2.2' | '2.3'>()
    expectTypeOf<Microversion>().toEqualTypeOf<UpTo<typeof LATEST>>()
    expectTypeOf<typeof LATEST>().toExtend<Microversion>()
  })

  it('know when members came', () => {
    expectTypeOf<ResponseAt<'showConsoleAuthToken', '2.99'>['console']>().toHaveProperty('tls_port')
    expectTypeOf<ResponseAt<'showConsoleAuthToken', '2.98'>['console']>().not.toHaveProperty('tls_port')
    expectTypeOf<ResponseAt<'showServer', '2.46'>['server']['flavor']>().toHaveProperty('id')
    expectTypeOf<ResponseAt<'showServer', '2.47'>['server']['flavor']>().toHaveProperty('original_name')
    expectTypeOf<ResponseAt<'listServersDetail', '2.8'>['servers'][number]>().not.toHaveProperty('locked')
    expectTypeOf<BodyAt<'getVncConsole', '2.1'>>().toEqualTypeOf<{ 'os-getVNCConsole': { type: 'novnc' | 'xvpvnc' } }>()
  })
})
