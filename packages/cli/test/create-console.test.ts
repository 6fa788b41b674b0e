/** The consoles of a server for `@oriel/console`. */
import { Conflict } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { creatorOf } from '../src/cloud/create-console.ts'
import type { Cloud } from '../src/cloud/sign-in.ts'
import { Failure } from '../src/failure.ts'

const server = { id: 's1', name: 'web-1', status: 'SHUTOFF' }
const detail = { status: 409, operation: 'createRemoteConsole', requestId: undefined, key: undefined }
const conflict = new Conflict('stopped', { ...detail, retryAfterSeconds: undefined })

it('explains why the first console cannot be created, and lets @oriel/console decide about later attempts', async () => {
  const client = { createConsole: () => Promise.reject(conflict) }
  const creator: { createConsole(): Promise<unknown> } = creatorOf({ client } as unknown as Cloud, server, 'serial')
  const failure = await creator.createConsole().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(Failure)
  expect((failure as Failure).message).toBe('web-1 has no console now: it is SHUTOFF. Start it and try again.')
  await expect(creator.createConsole()).rejects.toBe(conflict)
})
