/** Failures: their sentences and exit codes, and results that cannot be written. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { planTyping } from '@oriel/console'
import { AnswerError, OrielError } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { codeOf, Failure, failureOf } from '../src/failure.ts'
import { writePicture } from '../src/screen/write-picture.ts'

it.each([
  ['The answer is malformed', 'The answer is malformed.'],
  ['The answer is malformed.', 'The answer is malformed.'],
  ['Does the endpoint end in /v2.1?', 'Does the endpoint end in /v2.1?'],
])('ends the sentence %s with one mark', (message, sentence) => {
  expect(failureOf(new OrielError(message)).message).toBe(sentence)
})

it.each([
  [
    'a page',
    'the answer is not JSON but a page',
    /not JSON but a page\. Is the endpoint that of the compute API.*`oriel doctor`/,
  ],
  [
    'a list of versions',
    'does the endpoint end in /v2.1?',
    /end in \/v2\.1\? `oriel doctor` says which service answers\.$/,
  ],
])('leads to oriel doctor if the endpoint answers with %s', (_, message, sentence) => {
  const error = new AnswerError(message, { status: 200, operation: 'showVersion', requestId: undefined })
  expect(failureOf(error).message).toMatch(sentence)
})

it('cuts a long word of any message in its middle', () => {
  const word = `${'a'.repeat(120)}${'b'.repeat(5000)}${'c'.repeat(40)}`
  const { message } = failureOf(new OrielError(`No ${word} here`))
  expect(message).toBe(`No ${'a'.repeat(120)}…${'c'.repeat(40)} here.`)
  expect(new Failure('usage', 'd'.repeat(300)).message).toHaveLength(300)
})

it('reports a text that the keyboard layout lacks as a wrong argument', async () => {
  const error = await planTyping('ü').catch((error: unknown) => error)
  expect(codeOf(failureOf(error))).toBe(2)
})

it('reports a picture that cannot be written as a wrong argument', async () => {
  const picture = { width: 1, height: 1, rgba: new Uint8Array(4), png: () => new Uint8Array(1) }
  await expect(writePicture('/nonexistent/a.png', picture)).rejects.toMatchObject({
    exit: 'usage',
    message: expect.stringMatching(/^\/nonexistent\/a\.png cannot be written: ENOENT/),
  })
})

it.runIf(existsSync('/dev/full'))('fails with a sentence if the disk below stdout is full', () => {
  const main = join(import.meta.dirname, '../src/main.ts')
  const command = `exec "${process.execPath}" --conditions=@oriel/source "${main}" --version >/dev/full`
  const { status, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 30_000 })
  expect(stderr).toMatch(/^oriel: The result cannot be written to stdout: ENOSPC: .*\.\n$/)
  expect(status).toBe(1)
})
