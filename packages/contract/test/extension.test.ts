import * as Type from 'typebox'
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  type AdmittedConsole,
  type ConsoleType,
  type ExtensionBody,
  type ExtensionRoute,
  extensionRoutes,
  routes,
  type Session,
} from '../src/index.ts'

describe("Oriel's extension", () => {
  it('CVE-2025-54289, CVE-2021-41767 secrets in listings: has a member for a credential only in the URL of a console that the caller creates, and in the admission to a proxy', () => {
    const members = Object.entries<ExtensionRoute>(extensionRoutes).flatMap(([route, { response }]) =>
      memberNames(response).map((name) => `${route}: ${name}`),
    )
    expect(members).toContain('listSessions: client_address')
    expect(members.filter((name) => /: .*(token|password|secret|ticket|digest|cookie)|: url$/i.test(name))).toEqual([
      ...['admitSession: password', 'createInvitation: url', 'createPageInvitation: url', 'createConsole: url'],
    ])
  })

  it("answers of Nova's routes have a member for a credential only in the URL of a console that the caller asked for", () => {
    const suspicious = Object.entries<{ readonly response: Type.TSchema }>(routes).flatMap(([route, { response }]) =>
      memberNames(response)
        .filter((name) => /token|password|secret|ticket|digest|cookie|admin_?pass|^url$|user_?data/i.test(name))
        .map((name) => `${route}: ${name}`),
    )
    expect(suspicious).toEqual([
      ...['getVncConsole: url', 'getSpiceConsole: url', 'getSerialConsole: url', 'getRdpConsole: url'],
      'createRemoteConsole: url',
    ])
  })

  it('changes state only by POST, PUT and DELETE', () => {
    const reading = Object.entries(extensionRoutes).filter(([, { method }]) => method === 'GET')
    expect(reading.map(([name]) => name)).toEqual([
      ...[
        'locateConsole',
        'confirmSerialPort',
        'showPort',
        'listSessions',
        'listInvitations',
        'listPageInvitations',
        'listServersWithConsoles',
        'showScreenshot',
        'listSources',
      ],
    ])
  })

  it('has a policy rule for each route', () => {
    for (const { policy } of Object.values(extensionRoutes)) expect(policy).toMatch(/^oriel:/)
  })

  it('is typed from the console types and close reasons', () => {
    expectTypeOf<AdmittedConsole['type']>().toEqualTypeOf<ConsoleType>()
    expectTypeOf<Session['ended_at']>().toEqualTypeOf<string | null>()
    expectTypeOf<ExtensionBody<'admitSession'>>().toEqualTypeOf<
      | { token: string; proxy_id: string; client_address: string }
      | { resume: { session_id: string }; proxy_id: string; client_address: string }
    >()
  })
})

function memberNames(schema: Type.TSchema): string[] {
  if (Type.IsArray(schema)) return memberNames(schema.items)
  if (Type.IsUnion(schema)) return schema.anyOf.flatMap(memberNames)
  if (!Type.IsObject(schema)) return []
  return Object.entries(schema.properties).flatMap(([name, member]) => [name, ...memberNames(member)])
}
