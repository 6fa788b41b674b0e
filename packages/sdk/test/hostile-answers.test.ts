/** An API and a Keystone that answer anything: a call ends in an error of this package, or in an answer that fits. */
import { describe, expect, it } from 'vitest'
import { createClient, keystonePassword, noAuth, OrielError } from '../src/index.ts'

const hostileValues = [
  '{"toString":null}',
  '{"__proto__":{"polluted":true}}',
  '[null]',
  '[{"toString":null}]',
  '['.repeat(5000) + ']'.repeat(5000),
  '['.repeat(100_000) + ']'.repeat(100_000),
  '1e999',
  '"\\ud800"',
  'null',
  'true',
  '""',
  '{}',
]

const answering = (textOf: (url: string) => string, status: number) => async (url: string) =>
  new Response(textOf(url), { status, headers: { 'X-Subject-Token': 'a-token' } })

const settled = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => expect(error).toBeInstanceOf(OrielError),
  )

describe.each(hostileValues.map((json) => [json.slice(0, 40), json]))(
  'a call with %s anywhere in a response',
  (_, json) => {
    it('of the API succeeds or rejects with an OrielError', async () => {
      for (const body of [
        json,
        `{"servers":${json}}`,
        `{"itemNotFound":${json}}`,
        `{"x":{"code":${json},"message":"m"}}`,
        `{"code":404,"message":${json}}`,
      ]) {
        for (const status of [200, 404, 503]) {
          const client = createClient({
            endpoint: 'http://api.example/v2.1',
            auth: noAuth(),
            fetch: answering(() => body, status),
          })
          await settled(client.at('2.1').listServers())
          await settled(client.negotiate())
        }
      }
    })

    it('of Keystone succeeds or rejects with an OrielError', async () => {
      const token = (changes: string) => `{"token":{"expires_at":"2099-01-01T00:00:00Z",${changes}}}`
      const endpoint = (member: string) =>
        token(`"catalog":[{"type":"compute","endpoints":[{"interface":"public",${member}}]}]`)
      for (const body of [
        json,
        `{"token":${json}}`,
        `{"error":${json}}`,
        token(`"catalog":${json}`),
        token(`"catalog":[${json}]`),
        token(`"catalog":[{"type":${json},"endpoints":[]}]`),
        token(`"catalog":[{"type":"compute","endpoints":${json}}]`),
        token(`"catalog":[{"type":"compute","endpoints":[${json}]}]`),
        endpoint(`"region":${json},"url":"http://api.example"`),
        endpoint(`"url":${json}`),
      ]) {
        for (const status of [201, 401]) {
          const fetch = answering((url) => (url.includes('/auth/tokens') ? body : '{"servers":[]}'), status)
          for (const region of [undefined, 'north']) {
            const keystone = {
              authUrl: 'http://keystone.example',
              username: 'u',
              password: 'p',
              projectId: 'p',
              region,
              fetch,
            }
            await settled(
              createClient({ auth: keystonePassword(keystone), fetch })
                .at('2.1')
                .listServers(),
            )
          }
        }
      }
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    })
  },
)
