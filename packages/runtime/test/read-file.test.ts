import { execFile } from 'node:child_process'
import { mkdtempDisposable, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as Type from 'typebox'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig, pem, secretString } from '../src/index.ts'

const MIB = 2 ** 20
const folder = await mkdtempDisposable(join(tmpdir(), 'oriel-files-'))
afterAll(() => folder[Symbol.asyncDispose]())

async function fileOf(bytes: number): Promise<string> {
  const file = join(folder.path, `${bytes}.txt`)
  await writeFile(file, '')
  await truncate(file, bytes)
  return file
}

const schema = Type.Object({ cert: Type.Optional(pem()), token: Type.Optional(secretString()) })

describe('a file of more than 16 MiB', () => {
  test.each(['cert', 'cert_file', 'token_file'])('is a fault of the key %s', async (key) => {
    const file = await fileOf(16 * MIB + 1)
    const load = () => loadConfig(schema, { toml: `${key} = "${file}"` })
    expect(load).toThrow(`${key}: cannot read`)
    expect(load).toThrow('it has more than 16 MiB')
  })

  test('is refused, and one of exactly 16 MiB is read', async () => {
    const { token } = loadConfig(schema, { toml: `token_file = "${await fileOf(16 * MIB)}"` })
    expect(token?.reveal()).toHaveLength(16 * MIB)
  })
})

describe.skipIf(process.platform === 'win32')('a file that is not regular', () => {
  test('is a fault if it is an endless device', () => {
    expect(() => loadConfig(schema, { toml: 'cert = "/dev/zero"' })).toThrow(
      'cert: cannot read "/dev/zero" (it has more than 16 MiB)',
    )
  })

  test('is read to its end if it is a pipe', async () => {
    const fifo = join(folder.path, 'secret.fifo')
    await promisify(execFile)('mkfifo', [fifo])
    const writing = promisify(execFile)('sh', ['-c', 'echo hunter2 > "$0"', fifo])
    expect(loadConfig(schema, { toml: `token_file = "${fifo}"` }).token?.reveal()).toBe('hunter2')
    await writing
  })

  test.skipIf(process.platform !== 'linux')('is read if it is a file in /proc, which reports size 0', () => {
    expect(loadConfig(schema, { toml: 'token_file = "/proc/self/comm"' }).token?.reveal()).not.toBe('')
  })
})
