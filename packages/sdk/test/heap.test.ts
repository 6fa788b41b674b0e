/** What a long-lived client leaves behind: nothing that grows with the number of its calls. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const file = fileURLToPath(new URL('fixtures/measured-calls.ts', import.meta.url))
const CALLS = 5_000
/** A third of what signals that are kept cost, and some four times the noise of a heap. */
const ALLOWED_BYTES = CALLS * 300

it('calls do not grow the heap although the caller’s signal outlives them', { timeout: 300_000 }, async () => {
  const nodeArgs = ['--expose-gc', '--conditions=@oriel/source']
  const { stdout } = await promisify(execFile)(process.execPath, [...nodeArgs, file, String(CALLS)])
  expect(Number(stdout)).toBeLessThan(ALLOWED_BYTES)
})
