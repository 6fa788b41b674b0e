/** The parts of `proxy.toml` that concern the leg to VNC servers: what they come to, and what can be wrong with them. */
import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { ConfigFault } from '@oriel/runtime'
import type { ProxyConfig } from '../config.ts'
import type { VncSettings } from './novnc.ts'

type HypervisorConfig = ProxyConfig['hypervisor']
type VncConfig = HypervisorConfig['vnc']

/** @throws the error of `node:tls` for certificates that `vncFaults` would have named */
export function vncSettings({ vnc, hosts, identity }: HypervisorConfig): VncSettings {
  const secure = vnc.auth_schemes.includes('vencrypt')
  const tls = { context: contextOf(vnc), expected: { hosts }, hasCertificate: vnc.cert !== undefined }
  return { schemes: vnc.auth_schemes, identity, ...(secure ? { tls } : {}) }
}

/** What is wrong though each key is right by itself. */
export function vncFaults({ vnc }: HypervisorConfig): ConfigFault[] {
  const { auth_schemes, ca, cert, key } = vnc
  const fault = (name: string, message: string): ConfigFault => ({ path: `hypervisor.vnc.${name}`, message })
  if (!auth_schemes.includes('vencrypt')) {
    const unused = Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined)
    return unused.map(([name]) => fault(name, 'is for vencrypt, which hypervisor.vnc.auth_schemes does not name'))
  }
  if (cert === undefined && key !== undefined) return [fault('cert', 'is missing, key is its private key')]
  if (cert !== undefined && key === undefined) return [fault('key', 'is missing, the private key of cert')]
  const unusable = (name: string, use: () => unknown) => {
    const error = errorOf(use)
    return error === undefined ? [] : [fault(name, `cannot be used: ${error}`)]
  }
  return [
    ...unusable('ca', () => ca === undefined || parseCertificates(ca)),
    ...unusable('cert', () => contextOf({ cert, key })),
  ]
}

/** `createSecureContext` passes over authorities that it cannot read, upon which nobody would be trusted. */
export function parseCertificates(pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new TypeError('there is no certificate in it')
  for (const block of blocks) new X509Certificate(block)
}

type Pems = { readonly [Name in 'ca' | 'cert' | 'key']?: VncConfig[Name] | undefined }

function contextOf({ ca, cert, key }: Pems) {
  return createSecureContext({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: key.reveal() }),
    minVersion: 'TLSv1.2',
  })
}

function errorOf(use: () => unknown): string | undefined {
  try {
    use()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
