/** Nova and Keystone with certificates of a private CA. */
import { ConfigError } from '@oriel/runtime'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { INSTANCE } from '../fixture.ts'
import { admit, authorityOf, type Cloud, signInAt, startCloud } from './cloud.ts'

let cloud: Cloud
beforeAll(async () => {
  cloud = await startCloud({ tls: true })
})
afterAll(() => cloud[Symbol.asyncDispose]())

const lines = (more: string, origin = cloud.origin) =>
  `endpoint = "${origin}/v2.1"\n${signInAt(origin)}\n${more.replaceAll('\n', '\\n')}`

/** All texts of a refusal that the log would contain. */
function messages(error: unknown): string {
  return error instanceof Error ? `${error.message}\n${messages(error.cause)}` : ''
}
async function refusal(toml: string): Promise<string> {
  await using authority = authorityOf(toml)
  const error = await admit(authority).then(
    () => expect.unreachable('it must be refused'),
    (cause) => cause,
  )
  expect(error).toMatchObject({ refusal: 'authority_unavailable' })
  return messages(error)
}

describe('authority.cafile', () => {
  it.each([
    ['the name of a PEM file', () => `cafile = "${cloud.caFile}"`],
    ['PEM itself', () => `cafile = "${cloud.ca}"`],
    ['a file in cafile_file', () => `cafile_file = "${cloud.caFile}"`],
  ])('accepts %s, and is trusted for Keystone and for Nova', async (_, key) => {
    await using authority = authorityOf(lines(key()))
    expect(await admit(authority)).toMatchObject({ instance: INSTANCE, host: '10.0.0.5' })
  })

  it('is named in the log when it is missing, instead of a variable of Node', async () => {
    const said = await refusal(lines(''))
    expect(said).toContain('add the CA to authority.cafile')
    expect(said).not.toContain('--use-system-ca')
  })

  it('is named in the log when it has another CA, for Nova, Keystone and oriel-api', async () => {
    await using other = await startCloud({ tls: true })
    const cafile = `cafile = "${other.caFile}"`
    expect(await refusal(lines(cafile))).toContain('not from a CA in authority.cafile')
    const novaAlone = `endpoint = "${cloud.origin}/v2.1"\n${signInAt(other.origin)}\n${cafile}`
    expect(await refusal(novaAlone)).toContain('not from a CA in authority.cafile')
    expect(await refusal(`kind = "oriel"\nendpoint = "${cloud.origin}"\n${cafile}`)).toContain(
      'not from a CA in authority.cafile',
    )
  })

  it('does not make a certificate for another host valid', async () => {
    const elsewhere = cloud.origin.replace('127.0.0.1', 'localhost')
    await using named = await startCloud({ tls: true, names: ['elsewhere.example'] })
    const said = await refusal(lines(`cafile = "${named.caFile}"`, named.origin.replace('127.0.0.1', 'localhost')))
    expect(said).toContain("does not match certificate's altnames")
    await using authority = authorityOf(lines(`cafile = "${cloud.caFile}"`, elsewhere))
    expect(await admit(authority)).toMatchObject({ instance: INSTANCE })
  })

  it.each([
    ['no certificate in it', 'cafile = "-----BEGIN nothing"', 'it contains no certificate'],
    ['a missing file', 'cafile = "/no/such/file"', 'cannot read'],
  ])('is a fault of the configuration with %s', (_, key, message) => {
    const load = () => authorityOf(`endpoint = "http://127.0.0.1:1"\n${key}`)
    expect(load).toThrow(ConfigError)
    expect(load).toThrow(message)
    expect(load).toThrow('authority.cafile')
  })
})
