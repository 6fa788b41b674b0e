/** Checks that the API reloads a file of servers, and reports faults in it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient, staticToken } from '@oriel/sdk'
import { temporaryFolder } from '@oriel/testkit'
import { stringify } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { apiConfig, listening, MEMBER_TOKEN, merge, PROJECT, startApp } from './parts/oriel.ts'

const entry = (name: string) =>
  `[[servers]]\nid = "52b2e44e-e561-464c-88f3-2fc6a1ecea2b"\nname = "${name}"\nproject_id = "${PROJECT}"\n`

describe('a file of servers of the running API', () => {
  it('is reloaded at SIGHUP and when it changes; the API logs a faulty file and ignores it', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'servers.toml')
    await writeFile(file, entry('web-1'))
    const config = merge(apiConfig(0, 6080, []), { sources: [{ kind: 'static', file }] })
    await using program = await startApp('api', config)
    const { address } = await listening(program)
    const client = createClient({ endpoint: `http://${address}/v2.1`, auth: staticToken(MEMBER_TOKEN) }).at('2.99')
    const names = async () => (await client.listServers()).servers.map(({ name }) => name)
    expect(await names()).toEqual(['web-1'])

    await writeFile(file, entry('web-one'))
    await expect.poll(names).toEqual(['web-one'])

    await writeFile(file, `${entry('web-two')}nam = "x"\n`)
    process.kill(program.pid, 'SIGHUP')
    const { faults } = await program.waitForLog(
      ({ msg }) => msg === 'cannot reload the servers, keeping the previous ones',
    )
    expect(faults).toEqual([expect.stringContaining('servers[0].nam')])
    expect(await names()).toEqual(['web-one'])
  })
})

describe('servers in api.toml', () => {
  it('are reloaded at SIGHUP; the API logs other changed keys, which need a restart, and ignores a faulty file', async () => {
    const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
    const config = (name: string, over = {}) => merge(apiConfig(0, 6080, [{ id, name, project_id: PROJECT }]), over)
    await using program = await startApp('api', config('web-1'))
    const { address } = await listening(program)
    const client = createClient({ endpoint: `http://${address}/v2.1`, auth: staticToken(MEMBER_TOKEN) }).at('2.99')
    const names = async () => (await client.listServers()).servers.map(({ name }) => name)
    const write = (toml: Record<string, unknown>) => writeFile(join(program.folder, 'api.toml'), stringify(toml))
    expect(await names()).toEqual(['web-1'])

    await write(config('web-one', { tokens: { ttl_seconds: 5 } }))
    process.kill(program.pid, 'SIGHUP')
    await expect.poll(names).toEqual(['web-one'])
    const { keys } = await program.waitForLog(({ msg }) => String(msg).includes('restart to apply'))
    expect(keys).toEqual(['tokens.ttl_seconds'])

    await write(config('web-two', { tokens: { ttl_second: 5 } }))
    process.kill(program.pid, 'SIGHUP')
    const { faults } = await program.waitForLog(({ msg }) => String(msg).startsWith('cannot reload the configuration'))
    expect(faults).toEqual([expect.stringContaining('tokens.ttl_second')])
    expect(await names()).toEqual(['web-one'])
  })
})
