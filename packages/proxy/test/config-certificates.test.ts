import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type ConfigError, type ConfigFault, loadConfig } from '@oriel/runtime'
import { startProgram, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proxyConfig, refineProxyConfig } from '../src/index.ts'

const run = promisify(execFile)
const program = fileURLToPath(new URL('fixtures/proxy-program.ts', import.meta.url))

const least = `
[authority]
endpoint = "http://127.0.0.1:8774/v2.1"
[[listen]]
address = "127.0.0.1:6080"
consoles = ["novnc"]
`
/** The tables with a certificate and key, each in a minimal configuration. */
const tables: Readonly<Record<string, (keys: string) => string>> = {
  'listen[0].tls': (keys) => `${least}tls = { ${keys} }\n`,
  'spice.tls': (keys) => `${least}[spice]\ntls = { ${keys} }\n`,
  'hypervisor.vnc': (keys) => `${least}[hypervisor]\nvnc = { auth_schemes = ["vencrypt"], ${keys} }\n`,
}
const authorities: Readonly<Record<string, (file: string) => string>> = {
  'spice.tls.ca': (file) => tables['spice.tls']!(`cert = "good.pem", key = "good.key", ca = "${file}"`),
  'hypervisor.vnc.ca': (file) => tables['hypervisor.vnc']!(`ca = "${file}"`),
  'hypervisor.spice.ca': (file) => `${least}[hypervisor.spice]\nca = "${file}"\n`,
  'authority.cafile': (file) => least.replace('[[listen]]', `cafile = "${file}"\n[[listen]]`),
}

describe('certificates in proxy.toml', () => {
  const parts = new AsyncDisposableStack()
  let folder = ''

  beforeAll(async () => {
    folder = parts.use(await temporaryFolder()).path
    const expired = parts.use(await temporaryPki({ expired: true })).path
    const pki = parts.use(await temporaryPki()).path
    const at = (name: string) => join(folder, name)
    const copies = {
      'expired.pem': [expired, 'server-cert.pem'],
      'expired.key': [expired, 'server-key.pem'],
      'good.pem': [pki, 'server-cert.pem'],
      'good.key': [pki, 'server-key.pem'],
      'other.key': [pki, 'client-key.pem'],
      'ca.pem': [pki, 'ca-cert.pem'],
    } as const
    for (const [name, [from, file]] of Object.entries(copies))
      await writeFile(at(name), await readFile(join(from, file)))
    const issue = (name: string, key: readonly string[], days: number) =>
      run('openssl', [
        ...['req', '-x509', '-nodes', '-subj', `/CN=${name}`, '-days', String(days), '-newkey', ...key],
        ...['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)],
      ])
    await issue('weak', ['rsa:1024'], 90)
    await issue('soon', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], 10)
    await run('openssl', ['pkey', '-in', at('good.key'), '-aes256', '-passout', 'pass:x', '-out', at('encrypted.key')])
    const [own, ca] = await Promise.all(['good.pem', 'ca.pem'].map((name) => readFile(at(name), 'utf8')))
    await writeFile(at('chain-first.pem'), `${ca}${own}`)
    await writeFile(at('damaged.pem'), own!.replace(/\n.{20}/, '\n'))
    await writeFile(at('nothing.pem'), 'not a certificate\n')
    await writeFile(at('mixed.pem'), `${await readFile(at('expired.pem'), 'utf8')}${ca}`)
  })
  afterAll(() => parts.disposeAsync())

  /** Faults and warnings, as `--check-config` prints them. */
  function findings(toml: string): readonly string[] {
    const warnings: ConfigFault[] = []
    const onWarning = (warning: ConfigFault) => void warnings.push(warning)
    const lines = (faults: readonly ConfigFault[], prefix = '') =>
      faults.map(({ path, message }) => `${prefix}${path}: ${message}`)
    try {
      loadConfig(proxyConfig, { toml, baseDir: folder, refine: refineProxyConfig, onWarning })
      return lines(warnings, 'warning: ')
    } catch (error) {
      return lines((error as ConfigError).faults)
    }
  }

  describe.each(Object.entries(tables))('%s', (path, configuration) => {
    const of = (cert: string, key: string, more = '') =>
      findings(configuration(`cert = "${cert}", key = "${key}"${more}`))

    it('accepts a certificate with its key', () => {
      expect(of('good.pem', 'good.key')).toEqual([])
    })

    it.each([
      ['an encrypted key', 'good.pem', 'encrypted.key', 'key', 'is encrypted, decrypt it: openssl pkey'],
      ['the key of another certificate', 'good.pem', 'other.key', 'key', 'give the private key of "CN=testkit server"'],
      ['a chain in the wrong order', 'chain-first.pem', 'good.key', 'cert', 'put number 2 first'],
      ['a weak key', 'weak.pem', 'weak.key', 'cert', 'has a key of 1024 bits that is too weak for OpenSSL'],
      ['an expired certificate', 'expired.pem', 'expired.key', 'cert', 'expired on 20'],
      ['a damaged certificate', 'damaged.pem', 'good.key', 'cert', 'certificate 1 of 1 in it is damaged'],
      ['a file without a certificate', 'nothing.pem', 'good.key', 'cert', 'it contains no certificate'],
      ['a certificate in place of the key', 'good.pem', 'good.pem', 'key', 'holds no private key'],
    ])('has a fault with the key and a remedy for %s', (_, cert, key, name, message) => {
      expect(of(cert, key)).toEqual([expect.stringContaining(`${path}.${name}: `)])
      expect(of(cert, key)[0]).toContain(message)
    })

    it('has a warning with the date for a certificate that expires within 14 days', () => {
      const date = new Date(Date.now() + 10 * 86_400_000).toISOString().slice(0, 10)
      expect(of('soon.pem', 'soon.key')).toEqual([`warning: ${path}.cert: expires on ${date}, renew it`])
    })
  })

  it.each([
    ['BOGUS:WORSE', 'listen[0].tls.ciphers: names no cipher that OpenSSL knows: BOGUS, WORSE; give'],
    ['!ALL', 'listen[0].tls.ciphers: names no cipher; give'],
    ['ECDHE-ECDSA-AES128-GCM-SHA256:BOGUS', 'warning: listen[0].tls.ciphers: OpenSSL does not know BOGUS'],
  ])('have a fault for the ciphers %j', (ciphers, line) => {
    const toml = tables['listen[0].tls']!(`cert = "good.pem", key = "good.key", ciphers = "${ciphers}"`)
    expect(findings(toml)).toEqual([expect.stringContaining(line)])
  })

  it('have a fault for TLS 1.3 with ciphers of TLS 1.2 only', () => {
    const of = (ciphers: string) =>
      findings(
        tables['listen[0].tls']!(
          `cert = "good.pem", key = "good.key", min_version = "TLSv1.3", ciphers = "${ciphers}"`,
        ),
      )
    expect(of('ECDHE-ECDSA-AES128-GCM-SHA256')).toEqual([expect.stringContaining('names no cipher of TLS 1.3')])
    expect(of('TLS_AES_128_GCM_SHA256')).toEqual([])
  })

  it('may have a weak key with ciphers that lower the security level', () => {
    const toml = tables['listen[0].tls']!('cert = "weak.pem", key = "weak.key", ciphers = "DEFAULT@SECLEVEL=0"')
    expect(findings(toml)).toEqual([])
  })

  it.each(Object.entries(authorities))('%s may have an expired CA next to a valid one', (path, configuration) => {
    expect(findings(configuration('ca.pem'))).toEqual([])
    expect(findings(configuration('mixed.pem'))).toEqual([])
    expect(findings(configuration('expired.pem'))).toEqual([expect.stringContaining(`${path}: expired on 20`)])
    expect(findings(configuration('soon.pem'))).toEqual([expect.stringContaining(`warning: ${path}: expires on 20`)])
    expect(findings(configuration('damaged.pem'))).toEqual([expect.stringContaining(`${path}: cannot be used`)])
  })

  describe('--check-config and a start', () => {
    const start = async (toml: string, ...more: string[]) => {
      await writeFile(join(folder, 'proxy.toml'), toml.replace('127.0.0.1:6080', '127.0.0.1:0'))
      const args = ['--config', join(folder, 'proxy.toml'), ...more]
      return startProgram({ file: program, nodeArgs: ['--conditions=@oriel/source'], args })
    }

    it('exit with 2 and report the key of a certificate that OpenSSL would refuse', async () => {
      for (const more of [['--check-config'], []]) {
        const toml = tables['listen[0].tls']!('cert = "weak.pem", key = "encrypted.key", ciphers = "BOGUS"')
        await using running = await start(toml, ...more)
        expect(await running.exited).toEqual({ code: 2, signal: null })
        expect(running.stderr).toMatch(
          /^listen\[0\]\.tls\.key: is encrypted.*\nlisten\[0\]\.tls\.ciphers: names no.*\n$/,
        )
      }
    })

    it('exit with 0 and a warning, and start with one in the log, for a certificate that expires soon', async () => {
      const toml = tables['listen[0].tls']!('cert = "soon.pem", key = "soon.key"')
      await using checked = await start(toml, '--check-config')
      expect(await checked.exited).toEqual({ code: 0, signal: null })
      expect(checked.stderr).toMatch(/^warning: listen\[0\]\.tls\.cert: expires on .*\n$/)
      expect(checked.otherLines).toEqual(['config ok'])
      await using running = await start(toml)
      const record = await running.waitForLog(({ key }) => key === 'listen[0].tls.cert')
      expect(record).toMatchObject({ level: 'warn', msg: expect.stringContaining('expires on') })
      await running.waitForLog(({ msg }) => msg === 'listening')
    })
  })
})
