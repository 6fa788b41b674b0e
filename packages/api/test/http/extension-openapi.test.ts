/** The OpenAPI document of the extension, which must be valid and describe every route that the API has. */
import { EXTENSION_PATH, extensionOpenapi } from '@oriel/contract'
import { Validator } from '@seriousme/openapi-schema-validator'
import type * as Type from 'typebox'
import { Value } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { createApi } from '../../src/index.ts'
import { testApi } from '../support.ts'

interface Content {
  readonly content?: { readonly 'application/json'?: { readonly schema: Type.TSchema; readonly example: unknown } }
}
interface Operation {
  readonly requestBody?: Content
  readonly responses: Readonly<Record<string, Content>>
  readonly parameters: readonly { readonly name: string; readonly in: string }[]
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>

const { paths } = extensionOpenapi() as unknown as { readonly paths: Paths }
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
)

describe('the OpenAPI document of the extension', () => {
  test('is served without authentication', async () => {
    await using api = await testApi()
    const answer = await api.call('GET', '/openapi/oriel-v1.json', { headers: { 'X-Auth-Token': '' } })
    expect(answer).toMatchObject({ status: 200, body: extensionOpenapi() })
    expect((await api.call('GET', '/openapi/oriel-v2.json')).status).toBe(404)
  })

  test('is valid OpenAPI 3.1, which refuses a document with a fault', async () => {
    const result = await new Validator().validate(extensionOpenapi())
    expect(result).toMatchObject({ valid: true })
    const wrong = { ...extensionOpenapi(), security: 'token' }
    expect(await new Validator().validate(wrong)).toMatchObject({ valid: false })
  })

  test('has every route of the API below /oriel/v1, and no other', async () => {
    await using api = await testApi()
    const mounted = createApi(api.deps).routes.filter(
      ({ path, method }) => path.startsWith(`${EXTENSION_PATH}/`) && method !== 'ALL',
    )
    const served = new Set(
      mounted.map(({ path, method }) => {
        const template = path.slice(EXTENSION_PATH.length).replace(/:(\w+)/g, '{$1}')
        return `${method} ${template}`
      }),
    )
    expect(operations.map(([name]) => name).sort()).toEqual([...served].sort())
  })

  test.each(operations)('of %s has examples that its schemas accept', (_, { requestBody, responses }) => {
    const bodies = [requestBody, ...Object.values(responses)].flatMap((body) => body?.content ?? [])
    for (const { 'application/json': json } of bodies)
      if (json) expect([...Value.Errors(json.schema, json.example)]).toEqual([])
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '401', '403', '503']))
  })

  test.each(operations)('of %s names each parameter of the path', (name, { parameters }) => {
    const named = parameters.filter((each) => each.in === 'path').map((each) => `{${each.name}}`)
    expect(name.match(/\{\w+\}/g) ?? []).toEqual(named)
  })
})
