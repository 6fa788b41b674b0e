/** The compute endpoint from Keystone's catalogue, for a proxy that authenticates there. */
import { ConfigError } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { INSTANCE } from '../fixture.ts'
import { admit, authorityOf, type Cloud, PASSWORD, signInAt, startCloud } from './cloud.ts'

/** A cloud with two regions; the second one's endpoints are below `/region-two`. */
async function twoRegions(): Promise<Cloud> {
  const cloud = await startCloud()
  const endpoint = (face: string, region_id: string, path: string) => ({
    ...{ interface: face, region_id },
    url: `${cloud.origin}${path}/v2.1`,
  })
  // The first endpoint does not work, so a client must not choose it.
  cloud.catalog.push(
    endpoint('admin', 'one', '/nowhere'),
    endpoint('internal', 'one', '/region-two'),
    endpoint('public', 'one', ''),
    endpoint('public', 'two', '/region-two'),
  )
  return cloud
}

const credentialAt = (origin: string) =>
  `auth = { method = "application_credential", auth_url = "${origin}", application_credential_id = "c", application_credential_secret = "${PASSWORD}" }`

const TOKENS = '/v2.1/os-console-auth-tokens/'

describe('without authority.endpoint', () => {
  it.each([
    ['the public one of the first region', '', TOKENS],
    ['that of the region', 'region = "two"', `/region-two${TOKENS}`],
    ['that of the interface', 'interface = "internal"', `/region-two${TOKENS}`],
    ['that of both', 'region = "one"\ninterface = "public"', TOKENS],
  ])('Nova is called at its endpoint in the catalogue: %s', async (_, keys, path) => {
    await using cloud = await twoRegions()
    await using authority = authorityOf(`${signInAt(cloud.origin)}\n${keys}`)
    expect(await admit(authority)).toMatchObject({ instance: INSTANCE })
    expect(cloud.asked.at(-1)).toMatch(new RegExp(`^${path}`))
    expect(cloud.signIns()).toBe(1)
  })

  it('an application credential works as well', async () => {
    await using cloud = await twoRegions()
    await using authority = authorityOf(credentialAt(cloud.origin))
    expect(await admit(authority)).toMatchObject({ instance: INSTANCE })
  })

  it('oriel-api is called next to that endpoint', async () => {
    await using cloud = await twoRegions()
    await using authority = authorityOf(`kind = "oriel"\n${signInAt(cloud.origin)}\nregion = "two"`)
    await expect(admit(authority)).rejects.toThrow()
    expect(cloud.asked).toContain('/region-two/oriel/v1/sessions')
  })

  it('the endpoint changes when Keystone returns another one at the next sign-in', async () => {
    await using cloud = await twoRegions()
    await using authority = authorityOf(`${signInAt(cloud.origin)}\nregion = "one"`)
    await admit(authority)
    cloud.catalog = [{ interface: 'public', region_id: 'one', url: `${cloud.origin}/region-two/v2.1` }]
    cloud.revoke()
    expect(await admit(authority)).toMatchObject({ instance: INSTANCE })
    expect(cloud.asked.at(-1)).toMatch(`/region-two${TOKENS}`)
    expect(cloud.signIns()).toBe(2)
  })

  it('the log lists the regions of the catalogue when the configured one is missing', async () => {
    await using cloud = await twoRegions()
    await using authority = authorityOf(`${signInAt(cloud.origin)}\nregion = "three"`)
    await expect(admit(authority)).rejects.toMatchObject({
      refusal: 'authority_unavailable',
      cause: { message: expect.stringMatching(/region three and interface public; it has: .*two public/) },
    })
  })

  it.each([
    ['none', ''],
    ['token', 'auth = { method = "token", token = "t" }'],
  ])('the configuration has a fault for the method %s, with a remedy', (method, keys) => {
    const load = () => authorityOf(keys)
    expect(load).toThrow(ConfigError)
    expect(load).toThrow(
      `authority.endpoint: missing: authority.auth.method "${method}" has no catalogue to find it in; set it, or authenticate to Keystone`,
    )
  })
})

it.each(['region = "one"', 'interface = "internal"'])(
  'the configuration has a fault for authority.endpoint together with %s',
  (key) => {
    const name = key.split(' ')[0]!
    expect(() => authorityOf(`endpoint = "http://127.0.0.1:1"\n${signInAt('http://127.0.0.1:1')}\n${key}`)).toThrow(
      `authority.${name}: selects an endpoint from the catalogue, but authority.endpoint is given as well; remove one of them`,
    )
  },
)

it('the configuration has a fault for an unknown interface', () => {
  expect(() => authorityOf(`${signInAt('http://127.0.0.1:1')}\ninterface = "private"`)).toThrow(
    /authority\.interface: .*"internal"/,
  )
})
