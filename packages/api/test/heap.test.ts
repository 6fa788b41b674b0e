/** What a flood of requests leaves behind in a running API: nothing that grows with their number. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const file = fileURLToPath(new URL('fixtures/measured-requests.ts', import.meta.url))
const REQUESTS = 3_000
/** A third of what signals that are kept cost. */
const ALLOWED_BYTES = REQUESTS * 500

it('requests with a look-up at Keystone do not grow the heap', { timeout: 300_000 }, async () => {
  const nodeArgs = ['--expose-gc', '--conditions=@oriel/source']
  const { stdout } = await promisify(execFile)(process.execPath, [...nodeArgs, file, String(REQUESTS)])
  expect(Number(stdout)).toBeLessThan(ALLOWED_BYTES)
})
