/** What every source must do. Each adapter's test runs this whole suite. */
import { describe, expect, test } from 'vitest'
import { type ConsoleAddress, type Server, type ServerChange, type Source, SourceError } from '../../src/index.ts'

/** A source with one server, which runs, has a VNC console and no SPICE console. */
export interface SourceFixture extends AsyncDisposable {
  readonly source: Source
  readonly server: Pick<Server, 'id' | 'name' | 'projectId' | 'host'>
  readonly vnc: ConsoleAddress
  /** Ends the server. Absent: its servers never end. */
  end?(): Promise<void>
}

export function sourceSuite(name: string, open: () => Promise<SourceFixture>): void {
  const found = async ({ source, server }: SourceFixture) => (await source.find(server.id))!

  describe(`source: ${name}`, () => {
    test('lists its server, and finds it by its id', async () => {
      await using fixture = await open()
      const [listed, ...others] = await fixture.source.list()
      expect(listed).toMatchObject({ ...fixture.server, vmState: 'active', taskState: null })
      expect(listed?.unansweredSince).toBeUndefined()
      expect(others).toEqual([])
      expect(await found(fixture)).toEqual(listed)
    })

    test('compares ids exactly', async () => {
      await using fixture = await open()
      const { id } = fixture.server
      for (const other of ['', id.toUpperCase(), ` ${id}`, `${id}\n`, id.replaceAll('-', ''), '__proto__', `--${id}`]) {
        expect(await fixture.source.find(other)).toBeUndefined()
      }
    })

    test('returns the address of the console, each time', async () => {
      await using fixture = await open()
      for (const _ of [1, 2]) {
        expect(await fixture.source.console(await found(fixture), 'vnc', 'novnc')).toMatchObject(fixture.vnc)
      }
    })

    test('knows the protocols of its consoles, without those that are absent', async () => {
      await using fixture = await open()
      const protocols = fixture.source.protocols?.(await found(fixture))
      expect(protocols).toContain('vnc')
      expect(protocols).not.toContain('spice')
    })

    test('responds to concurrent calls', async () => {
      await using fixture = await open()
      const server = await found(fixture)
      const asked = Array.from({ length: 40 }, () => fixture.source.console(server, 'vnc', 'novnc'))
      for (const answer of await Promise.all(asked)) expect(answer).toMatchObject(fixture.vnc)
    })

    test.each([
      ['spice', 'spice-html5'],
      ['spice', 'spice-direct'],
      ['mks', 'webmks'],
      ['rdp', 'rdp-html5'],
    ] as const)('throws ConsoleTypeUnavailable for an absent console: %s, %s', async (protocol, type) => {
      await using fixture = await open()
      const refused = fixture.source.console(await found(fixture), protocol, type)
      await expect(refused).rejects.toSatisfy(isSourceError('ConsoleTypeUnavailable'))
    })

    test('throws InstanceNotFound for an unknown server', async () => {
      await using fixture = await open()
      const stranger = { ...(await found(fixture)), id: 'f0000000-0000-4000-8000-000000000000' }
      const refused = fixture.source.console(stranger, 'vnc', 'novnc')
      await expect(refused).rejects.toSatisfy(isSourceError('InstanceNotFound'))
    })

    test('is ready', async () => {
      await using fixture = await open()
      await fixture.source.check?.()
    })

    test('notifies listeners of a server that ends, which then has no console', async () => {
      await using fixture = await open()
      if (!fixture.end) return expect(fixture.source.subscribe).toBeUndefined()
      const server = await found(fixture)
      const change = nextChange(fixture.source)
      await fixture.end()
      expect(['stopped', 'gone']).toContain((await change).kind)
      expect((await change).serverId).toBe(server.id)
      await expect(fixture.source.console(server, 'vnc', 'novnc')).rejects.toBeInstanceOf(SourceError)
      await expect.poll(async () => (await fixture.source.find(server.id))?.vmState ?? 'gone').not.toBe('active')
    })

    test('reports no changes when it is disposed of', async () => {
      const fixture = await open()
      const changes: ServerChange[] = []
      fixture.source.subscribe?.((change) => changes.push(change))
      await fixture.source[Symbol.asyncDispose]()
      await fixture[Symbol.asyncDispose]()
      expect(changes).toEqual([])
    })
  })
}

export const isSourceError = (code: string) => (error: unknown) => error instanceof SourceError && error.code === code

/** Resolves to the next change that the source reports. */
export async function nextChange(source: Source): Promise<ServerChange> {
  const { promise, resolve } = Promise.withResolvers<ServerChange>()
  using _subscription = source.subscribe!(resolve)
  return await promise
}
