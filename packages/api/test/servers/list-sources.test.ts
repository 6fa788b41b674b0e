/** What an operator sees of the hypervisors: which of them answer, and since when others do not. */
import { expect, test } from 'vitest'
import { combineSources } from '../../src/index.ts'
import { type Caller, configOf, fakeSource, server, testApi } from '../support.ts'

const PATH = '/oriel/v1/sources'
const SINCE = '2026-11-22T04:46:41.000Z'

test('listSources lists each source, and whether it responds', async () => {
  const silent = server({ id: 's2', unansweredSince: Date.parse(SINCE) })
  const sources = [
    fakeSource([server(), silent], { name: 'qemu' }),
    fakeSource([server({ id: 's3' })], { name: 'libvirt', check: () => Promise.reject(new Error('away')) }),
    fakeSource([], { name: 'static', list: () => new Promise(() => {}) }),
  ]
  const limits = { ...configOf().limits, source_timeout_seconds: 0.05 }
  await using api = await testApi({ source: combineSources(sources), config: { ...configOf(), limits } })
  expect(await api.call('GET', PATH, { as: 'admin' })).toMatchObject({
    status: 200,
    body: {
      sources: [
        { kind: 'qemu', servers: 2, answers: true, unanswered: [{ server_id: 's2', since: SINCE }] },
        { kind: 'libvirt', servers: 1, answers: false, unanswered: [] },
        { kind: 'static', servers: 0, answers: false, unanswered: [] },
      ],
    },
  })
})

test('listSources lists a single source', async () => {
  await using api = await testApi()
  const { body } = await api.call('GET', PATH, { as: 'admin' })
  expect(body).toEqual({ sources: [{ kind: 'fake', servers: 1, answers: true, unanswered: [] }] })
})

test.each<Caller>(['member', 'reader', 'service', 'norole'])('listSources refuses %s', async (as) => {
  await using api = await testApi()
  const answer = await api.call('GET', PATH, { as })
  expect(answer).toMatchObject({ status: 403, fault: { key: 'forbidden' } })
})
