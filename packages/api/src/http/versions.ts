/** The version documents, which need no authentication and accept every method. */
import { API_VERSION, at, BASE_PATH, project, routes, versionDocument, versionList } from '@oriel/contract'
import type { Hono } from 'hono'
import { parseJson, readBody } from './body.ts'
import { type ApiContext, type ApiEnv, rawQuery } from './context.ts'
import { notFound } from './faults.ts'
import { publicBase } from './host.ts'
import { checkContentType, hasParameter } from './media-type.ts'
import { checkProject, jsonResponse } from './mount.ts'
import { chooseMicroversion } from './negotiate.ts'
import { parseQuery } from './query.ts'
import { setRequestIdHeaders } from './request-id.ts'

/** Mounts the list at `/`, and the API's document at its root. */
export function mountVersions(app: Hono<ApiEnv>, publicUrl: string | undefined): void {
  const own = (c: ApiContext) => answerOwn(c, publicUrl)
  app.all('/', (c) => {
    if (!asksForOwn(c)) return answerList(c, publicUrl)
    setRequestIdHeaders(c)
    return own(c)
  })
  app.all(BASE_PATH, own)
  app.all(`${BASE_PATH}/`, own)
}

/** Mounts the same document below a project's id, for authenticated callers. */
export function mountProjectVersion(app: Hono<ApiEnv>, publicUrl: string | undefined): void {
  app.all(`${BASE_PATH}/:project_id{[0-9a-f-]+}/`, async (c) => {
    if (c.req.method !== 'GET') throw notFound()
    return answerOwn(c, publicUrl)
  })
}

// The parameter `version` of a media type chooses the document, as in Nova's versioned media types.
const asksForOwn = (c: ApiContext) => hasParameter(c, 'version', API_VERSION.slice(1))

async function answerOwn(c: ApiContext, publicUrl: string | undefined): Promise<Response> {
  chooseMicroversion(c)
  await checkRequest(c)
  const document = { version: versionDocument(publicBase(c, publicUrl)) }
  return jsonResponse(c, project(at(routes.showVersion.response, c.get('microversion')!), document))
}

async function answerList(c: ApiContext, publicUrl: string | undefined): Promise<Response> {
  await checkRequest(c)
  return jsonResponse(c, versionList(publicBase(c, publicUrl)))
}

// Validates the body and the query although the response does not depend on them, as Nova does.
async function checkRequest(c: ApiContext): Promise<void> {
  checkContentType(c)
  const body = await readBody(c)
  if (body.length > 0) parseJson(body)
  checkProject(c)
  parseQuery(rawQuery(c))
}
