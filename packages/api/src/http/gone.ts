/** The consoles API from before microversions, which was removed: its paths respond 410 instead of 404. */
import { BASE_PATH } from '@oriel/contract'
import type { Hono } from 'hono'
import type { ApiContext, ApiEnv } from './context.ts'
import { HttpFault } from './faults.ts'
import { contentType } from './media-type.ts'
import { checkProject, exactMethod } from './mount.ts'
import { negotiate } from './negotiate.ts'

const MESSAGE = 'This resource is no longer available. No forwarding address is given.'
const COLLECTION = '/servers/:server_id/consoles'
const gone = {
  [COLLECTION]: ['GET', 'POST'],
  [`${COLLECTION}/:id`]: ['GET', 'DELETE'],
} as const satisfies Record<string, readonly string[]>

/** Responds 410 on the paths of the old API (Nova rule 11.4). */
export function mountGone(app: Hono<ApiEnv>): void {
  for (const [path, methods] of Object.entries(gone)) {
    const paths = [`${BASE_PATH}${path}`, `${BASE_PATH}/:project_id{[0-9a-f-]+}${path}`]
    for (const method of methods) app.on(method, paths, exactMethod(method), negotiate(), contentType(), refuse)
  }
}

function refuse(c: ApiContext): never {
  checkProject(c)
  throw new HttpFault(410, MESSAGE)
}
