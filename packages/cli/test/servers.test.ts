/** The search for a server by name or id. */
import { type Client, createClient } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { findServer, listServers } from '../src/cloud/servers.ts'

const VERSION = { id: 'v2.1', status: 'CURRENT', version: '2.1', min_version: '2.1', updated: '', links: [] }

interface Row {
  readonly id: string
  readonly name: string
}

/** A client of an API that lists `servers`, two to a page. */
function clientOf(servers: readonly Row[]): Client & { readonly asked: string[] } {
  const asked: string[] = []
  const fetch = async (address: string) => {
    const { pathname, searchParams } = new URL(address)
    if (pathname === '/v2.1/') return Response.json({ version: VERSION })
    asked.push(searchParams.toString())
    const id = pathname.split('/').at(-1)
    if (id !== 'detail') return Response.json({ itemNotFound: { code: 404, message: 'No.' } }, { status: 404 })
    return Response.json(pageOf(servers, searchParams))
  }
  return Object.assign(createClient({ endpoint: 'http://h/v2.1', fetch }), { asked })
}

function pageOf(servers: readonly Row[], query: URLSearchParams) {
  const name = new RegExp(query.get('name') ?? '')
  const found = servers.filter((row) => name.test(row.name))
  const start = found.findIndex(({ id }) => id === query.get('marker')) + 1
  const page = found.slice(start, start + 2).map((row) => ({ ...EMPTY, ...row }))
  const more = start + 2 < found.length
  return { servers: page, ...(more && { servers_links: [{ rel: 'next', href: 'http://h/elsewhere' }] }) }
}

const EMPTY = {
  ...{
    status: 'ACTIVE',
    tenant_id: '',
    user_id: '',
    metadata: {},
    hostId: '',
    image: '',
    flavor: { id: '1', links: [] },
  },
  ...{ created: '', updated: '', addresses: {}, accessIPv4: '', accessIPv6: '', links: [], key_name: null },
  ...{ config_drive: '', 'OS-DCF:diskConfig': '', 'OS-EXT-AZ:availability_zone': '' },
  ...{ 'OS-SRV-USG:launched_at': null, 'OS-SRV-USG:terminated_at': null, 'os-extended-volumes:volumes_attached': [] },
  ...{ 'OS-EXT-STS:task_state': null, 'OS-EXT-STS:vm_state': 'active', 'OS-EXT-STS:power_state': 1 },
}

const servers = ['web-1', 'web-2', 'db.1', 'dbx1', 'twin', 'twin'].map((name, i) => ({ id: `id-${i}`, name }))

it('lists all pages, and follows no link of the API', async () => {
  const client = clientOf(servers)
  expect((await listServers(client)).map(({ name }) => name)).toEqual(servers.map(({ name }) => name))
  expect(client.asked).toEqual(['', 'marker=id-1', 'marker=id-3'])
})

it('finds a server by its name, which the filter does not read as a pattern', async () => {
  expect((await findServer(clientOf(servers), 'db.1')).id).toBe('id-2')
})

it('finds a server by its id', async () => {
  expect((await findServer(clientOf(servers), 'id-1')).name).toBe('web-2')
})

it('lists the ids of servers with the same name', async () => {
  const failure = await findServer(clientOf(servers), 'twin').catch((error) => error)
  expect(failure).toMatchObject({ exit: 'notFound', message: expect.stringMatching(/id-4 {2}ACTIVE\n {2}id-5/) })
})

it.each([
  ['wbe-1', 'There is no server wbe-1 in this project. Did you mean web-1?'],
  [
    '5b6f2c7e-90a4-4c0e-8a57-6d1f7f1f0001',
    'There is no server 5b6f2c7e-90a4-4c0e-8a57-6d1f7f1f0001 in this project. See',
  ],
])('suggests names near %s', async (wanted, message) => {
  await expect(findServer(clientOf(servers), wanted)).rejects.toThrow(message)
})

it('cuts a long name in its sentence', async () => {
  const name = `web-${'x'.repeat(5000)}`
  const failure = (await findServer(clientOf(servers), name).catch((error) => error)) as Error
  expect(failure.message).toMatch(/^There is no server web-x{76}… in this project\./)
  const twins = clientOf(['a', 'b'].map((id) => ({ id, name })))
  await expect(findServer(twins, name)).rejects.toThrow(/^2 servers are named web-x{76}…\./)
})

it('asks the API nothing for an empty name', async () => {
  const client = clientOf([{ id: 'a', name: '' }])
  await expect(findServer(client, '')).rejects.toThrow('The name of the server is empty.')
  expect(client.asked).toEqual([])
})
