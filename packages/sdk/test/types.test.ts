/** What must compile and what must not: `tsc` checks this file, since `test` is in the tsconfig. */
import { LATEST, type Microversion, minor } from '@oriel/contract'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { type ClientAt, createClient } from '../src/index.ts'

const server_id = 's'
const client = createClient({ endpoint: 'http://h/v2.1', fetch: async () => Response.json({}) })

/** Type-checked, never run. */
const compiled = (_: () => unknown) => {}

describe('a client at one microversion', () => {
  it('has the operations that exist there', () => {
    expectTypeOf(client.at('2.5')).toHaveProperty('getVncConsole')
    expectTypeOf(client.at('2.6')).toHaveProperty('createRemoteConsole')
    expectTypeOf(client.at('2.31')).toHaveProperty('showConsoleAuthToken')
    expect(client.at('2.5')).toHaveProperty('getVncConsole')
    // @ts-expect-error the actions end at 2.5
    expect(client.at('2.6').getVncConsole).toBeUndefined()
    // @ts-expect-error remote consoles begin at 2.6
    expect(client.at('2.5').createRemoteConsole).toBeUndefined()
    // @ts-expect-error connect info begins at 2.31
    expect(client.at('2.30').showConsoleAuthToken).toBeUndefined()
    // @ts-expect-error no such microversion
    expect(() => client.at(`2.${minor(LATEST) + 1}`)).toThrow(RangeError)
  })

  it('accepts the console types that exist there', () => {
    const body = { remote_console: { protocol: 'spice', type: 'spice-direct' } } as const
    const webmks = { remote_console: { protocol: 'mks', type: 'webmks' } } as const
    compiled(() => client.at('2.99').createRemoteConsole({ server_id, body }))
    compiled(() => client.at(LATEST).createRemoteConsole({ server_id, body }))
    // @ts-expect-error spice-direct arrives in 2.99
    compiled(() => client.at('2.98').createRemoteConsole({ server_id, body }))
    compiled(() => client.at('2.8').createRemoteConsole({ server_id, body: webmks }))
    // @ts-expect-error webmks arrives in 2.8
    compiled(() => client.at('2.7').createRemoteConsole({ server_id, body: webmks }))
    compiled(() =>
      client.at('2.99').createRemoteConsole({
        server_id,
        // @ts-expect-error the type does not belong to the protocol
        body: { remote_console: { protocol: 'vnc', type: 'serial' } },
      }),
    )
    // @ts-expect-error the path needs the server's id
    compiled(() => client.at('2.99').createRemoteConsole({ body }))
    // @ts-expect-error the body is missing
    compiled(() => client.at('2.99').createRemoteConsole({ server_id }))
  })

  it('returns the members that exist there', () => {
    type Shown<C extends { showConsoleAuthToken: (...input: never) => Promise<{ console: unknown }> }> = Awaited<
      ReturnType<C['showConsoleAuthToken']>
    >['console']
    expectTypeOf<Shown<ClientAt<'2.99'>>['tls_port']>().toEqualTypeOf<number | null | undefined>()
    expectTypeOf<Shown<ClientAt<'2.98'>>>().not.toHaveProperty('tls_port')
    expectTypeOf<Shown<ClientAt<'2.31'>>>().toEqualTypeOf<Shown<ClientAt<'2.98'>>>()
  })

  it('requires an input only if a member is required', () => {
    compiled(() => client.at('2.1').listServers())
    compiled(() => client.at('2.1').listServers({ query: { name: 'web' } }, { signal: AbortSignal.abort() }))
    compiled(() => client.at('2.1').showVersion())
    // @ts-expect-error which server?
    compiled(() => client.at('2.1').showServer())
    // @ts-expect-error unknown query parameters are refused by this one
    compiled(() => client.at('2.99').showConsoleAuthToken({ console_token: 't', query: { a: 1 } }))
  })
})

describe('a negotiated client', () => {
  const use = (negotiated: ClientAt<Microversion>) => {
    // @ts-expect-error it may be too old for that
    compiled(() => negotiated.createRemoteConsole)
    if ('createRemoteConsole' in negotiated) {
      const body = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
      compiled(() => negotiated.createRemoteConsole({ server_id, body }))
    }
    if ('showConsoleAuthToken' in negotiated) {
      compiled(async () => {
        const { console } = await negotiated.showConsoleAuthToken({ console_token: 't' })
        return 'tls_port' in console ? console.tls_port : console.port
      })
    }
    if (negotiated.microversion === '2.99') {
      const body = { remote_console: { protocol: 'spice', type: 'spice-direct' } } as const
      compiled(() => negotiated.createRemoteConsole({ server_id, body }))
    }
  }

  it('narrows by operation and by microversion', () => {
    compiled(async () => use(await client.negotiate({ min: '2.6' })))
    for (const v of ['2.5', '2.98', '2.99'] as const) expect(() => use(client.at(v))).not.toThrow()
    expect(() => use(client.at('2.5'))).not.toThrow()
  })
})

it('createConsole returns the requested type', () => {
  const created = () => client.createConsole('s', 'spice-direct')
  expectTypeOf(created).returns.resolves.toHaveProperty('type').toEqualTypeOf<'spice-direct'>()
  expectTypeOf(created).returns.resolves.toHaveProperty('protocol').toEqualTypeOf<'spice'>()
  // @ts-expect-error its service is gone
  compiled(() => client.createConsole('s', 'xvpvnc'))
})
