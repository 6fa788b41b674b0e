/** A QEMU that its guest has taken over ends at most its own connection, with any data. */
import { join } from 'node:path'
import { createLogger } from '@oriel/runtime'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createQemuSource } from '../../../src/index.ts'
import type { QemuSourceConfig } from '../../../src/sources/qemu/config.ts'
import { JsonStream } from '../../../src/sources/qemu/json-stream.ts'
import { anyJson, anyObjectOf, hostileValues } from '../../hostile-json.ts'
import { expectNothingUncaught } from '../../nothing-uncaught.ts'
import { configOf } from '../../support.ts'
import { fakeQemu, GREETING, guestAnswers, Raw, socketFolder } from './fake-qmp.ts'

const HONEST = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const HOSTILE = 'a0000000-0000-4000-8000-000000000001'

expectNothingUncaught()

const config = (folder: string) =>
  configOf(`
    [[sources]]
    kind = "qemu"
    qmp = "${folder}/*.qmp"
    host = "10.0.0.5"
    project_id = "p"
    poll_seconds = 3600
    answer_timeout_ms = 300`).sources[0] as QemuSourceConfig

/** Everything is logged, since a log line of a hostile value may throw as well. */
const log = createLogger({ name: 'test', level: 'trace', destination: { write: () => {} } })

/** What a hostile QEMU says: once connected, instead of one answer, or beside them. */
interface Hostility {
  readonly greeting?: string
  readonly answers?: Record<string, unknown>
  readonly unasked?: string
}

/** Lists the servers of an honest guest and of a hostile one. */
async function listWith({ greeting = GREETING, answers = {}, unasked }: Hostility) {
  await using folder = await socketFolder()
  await using _ = await fakeQemu(join(folder.path, 'honest.qmp'))
  const said = guestAnswers({ 'query-uuid': { UUID: HOSTILE }, ...answers })
  await using hostile = await fakeQemu(join(folder.path, 'hostile.qmp'), { greeting, answers: said })
  await using source = await createQemuSource(config(folder.path), { log })
  if (unasked !== undefined) hostile.send(unasked)
  const honest = (await source.find(HONEST))!
  expect(await source.console(honest, 'vnc', 'novnc')).toEqual({ host: '10.0.0.5', port: 5911 })
  for (const server of await source.list()) await source.console(server, 'serial', 'serial').catch(() => {})
  return (await source.list()).filter(({ id }) => id !== HONEST)
}

const commands = Object.keys(guestAnswers())

describe('a hostile QEMU leaves other guests as they are', () => {
  test.each(hostileValues.map((json) => [json.slice(0, 60), json]))('with the value %s anywhere', async (_, json) => {
    await listWith({ greeting: `{"QMP": ${json}}\r\n` })
    await listWith({ answers: { 'query-uuid': new Raw('error', `{"class": ${json}, "desc": "x"}`) } })
    await listWith({ answers: { 'query-vnc': new Raw('error', `{"class": "x", "desc": ${json}}`) } })
    await listWith({ answers: { 'query-name': new Raw('return', `{"name": ${json}}`) } })
    await listWith({ unasked: `{"event": ${json}}\r\n{"event": "STOP", "data": ${json}}` })
  })

  test('with any greeting', async () => {
    const greeting = fc.oneof(anyJson, anyObjectOf('QMP', 'event', 'id', 'return', 'error'))
    await fc.assert(
      fc.asyncProperty(greeting, async (json) => void (await listWith({ greeting: `${json}\r\n` }))),
      { numRuns: 40 },
    )
  })

  test('with any reply or error to any command', async () => {
    const answer = fc.record({
      command: fc.constantFrom(...commands),
      member: fc.constantFrom('return' as const, 'error' as const),
      json: fc.oneof(
        anyJson,
        anyObjectOf('class', 'desc'),
        anyObjectOf('UUID', 'name', 'status', 'enabled', 'host', 'service', 'port'),
        anyObjectOf('label', 'filename', 'name', 'type').map((object) => `[${object}]`),
      ),
    })
    await fc.assert(
      fc.asyncProperty(answer, async ({ command, member, json }) => {
        for (const { id, name } of await listWith({ answers: { [command]: new Raw(member, json) } })) {
          expect(id).toMatch(/^[0-9a-f-]{36}$/)
          expect(name.isWellFormed()).toBe(true)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('with any unrequested message', async () => {
    const message = fc.oneof(anyJson, anyObjectOf('QMP', 'event', 'data', 'timestamp', 'id', 'return', 'error'))
    await fc.assert(
      fc.asyncProperty(message, async (unasked) => void (await listWith({ unasked }))),
      { numRuns: 40 },
    )
  })
})

describe('a stream of JSON', () => {
  const limits = { maxCharacters: 2000, maxDepth: 10 }
  const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })

  test('yields each object whole, in any layout and cut into any pieces', () => {
    const layout = fc.constantFrom<[number, string]>([0, '\r\n'], [4, '\n'], [0, ''], [1, ' \t\r\n\n'])
    const property = fc.property(
      fc.array(object, { maxLength: 4 }),
      layout,
      fc.integer({ min: 1, max: 40 }),
      (objects, [indent, between], size) => {
        const text = objects.map((each) => JSON.stringify(each, null, indent) + between).join('')
        const stream = new JsonStream({ ...limits, maxCharacters: 100_000 })
        const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
        const found = pieces.flatMap((piece) => [...stream.push(piece)]).map((each) => JSON.parse(each))
        expect(found).toEqual(JSON.parse(JSON.stringify(objects)))
      },
    )
    fc.assert(property)
  })

  test.each([
    ['text', 'nonsense', 'not a JSON object'],
    ['a list', '[]', 'not a JSON object'],
    ['text after an object', '{} x', 'not a JSON object'],
    ['deep nesting', `{"a":${'['.repeat(10)}`, 'nests deeper than 10'],
    ['an endless string', `{"a":"${'x'.repeat(2000)}`, 'more than 2000 characters'],
    ['endless members', '{"a":1,'.padEnd(3000, '"b":2,'), 'more than 2000 characters'],
  ])('refuses %s', (_, text, message) => {
    const whole = new JsonStream(limits)
    expect(() => [...whole.push(text)]).toThrow(message)
    const cut = new JsonStream(limits)
    expect(() => [...text].flatMap((character) => [...cut.push(character)])).toThrow(message)
  })

  test('ignores brackets in strings and escaped quotes', () => {
    const text = '{"a":"}{[\\"}\\\\"}'
    expect([...new JsonStream(limits).push(text)]).toEqual([text])
  })
})
