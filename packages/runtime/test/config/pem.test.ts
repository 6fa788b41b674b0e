import * as Type from 'typebox'
import { describe, expect, it } from 'vitest'
import { ConfigError, loadConfig, pem, Secret, secretPem } from '../../src/index.ts'

const CERT = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
const schema = Type.Object({ cert: pem(), key: secretPem() })
const readFile = (path: string) => {
  if (path === '/etc/oriel/cert.pem') return CERT
  if (path === '/etc/oriel/key.pem') return CERT.replaceAll('CERTIFICATE', 'PRIVATE KEY')
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
}
const load = (toml: string) => loadConfig(schema, { toml, readFile, baseDir: '/etc/oriel' })

describe('PEM in the configuration', () => {
  it('is read from the file that the key names, relative to the configuration', () => {
    const { cert, key } = load('cert = "cert.pem"\nkey = "/etc/oriel/key.pem"')
    expect(cert).toBe(CERT.trimEnd())
    expect(key).toBeInstanceOf(Secret)
    expect(key.reveal()).toContain('PRIVATE KEY')
  })

  it('may be inline, or given by a key with _file', () => {
    expect(load(`cert = """${CERT}"""\nkey_file = "key.pem"`).cert).toBe(CERT)
  })

  it('causes a fault with the file name if the file does not exist', () => {
    const fault = () => load('cert = "gone.pem"\nkey = "key.pem"')
    expect(fault).toThrow(ConfigError)
    expect(fault).toThrow(/cert: cannot read "gone.pem" \(ENOENT\)/)
  })
})
