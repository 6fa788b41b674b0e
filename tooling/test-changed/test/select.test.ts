import { expect, it } from 'vitest'
import { selectTests } from '../src/select.ts'

const FILE = 'packages/proxy/src/rfb/wire/reader.ts'
const BEFORE = "/** Reads. */\nexport const fail = () => { throw new Error('the reader has ended') }\n"

const tests = new Map([
  ['packages/proxy/test/rfb/wire/reader.test.ts', ''],
  ['packages/proxy/test/rfb/rfb.test.ts', ''],
  ['packages/proxy/test/config.test.ts', "import { load } from '../src/config.ts'"],
  ['packages/proxy/test/session/relay.test.ts', "import { Reader } from '../../src/rfb/wire/reader.ts'"],
  ['packages/api/test/http/faults.test.ts', "expect(message).toBe('the reader has ended')"],
])
const select = (file: string, before?: string, after?: string) => selectTests([{ file, before, after }], tests)

it('chooses the test of a file, those that import it and those that quote a text that it lost', () => {
  expect(select(FILE, BEFORE, BEFORE.replace('has ended', 'is at its end')).tests).toEqual([
    'packages/api/test/http/faults.test.ts',
    'packages/proxy/test/rfb/wire/reader.test.ts',
    'packages/proxy/test/session/relay.test.ts',
  ])
})

it('chooses no test for a file in which only comments or layout differ', () => {
  const after = BEFORE.replace('Reads.', 'Reads bytes.').replace('{ throw', '{\n  throw')
  expect(select(FILE, BEFORE, after)).toEqual({ tests: [], withoutCode: [FILE] })
})

it('sees a space in a string or a template as a change', () => {
  for (const [was, is] of [
    ["const a = 'b c'", "const a = 'b  c'"],
    ['const a = `b c`', 'const a = `b  c`'],
    ['const a = 1n', 'const a = 2n'],
    ['const a = /b/', 'const a = /c/'],
  ]) {
    expect(select(FILE, was, is).withoutCode, is).toEqual([])
  }
})

it('chooses the tests of the nearest folder for a file without a test of its own', () => {
  const near = (file: string) => select(file, undefined, 'export {}').tests
  expect(near('packages/proxy/src/rfb/wire/writer.ts')).toEqual(['packages/proxy/test/rfb/wire/reader.test.ts'])
  expect(near('packages/proxy/src/rfb/security/none.ts')).toEqual([
    'packages/proxy/test/rfb/rfb.test.ts',
    'packages/proxy/test/rfb/wire/reader.test.ts',
  ])
  expect(near('packages/proxy/src/config.ts')).toEqual(['packages/proxy/test/config.test.ts'])
  expect(near('packages/sdk/src/client.ts')).toEqual([])
})

it('chooses a changed test itself, and the tests that import a deleted file', () => {
  expect(select('packages/proxy/test/config.test.ts', '', 'const a = 1').tests).toEqual([
    'packages/proxy/test/config.test.ts',
  ])
  expect(select(FILE, BEFORE, undefined).tests).toContain('packages/proxy/test/session/relay.test.ts')
})

it('ignores files that are not TypeScript', () => {
  expect(select('README.md', 'a', 'b')).toEqual({ tests: [], withoutCode: [] })
})
