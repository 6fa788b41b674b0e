/** The parts of `proxy.toml` that concern the leg to VNC servers: what they come to, and what can be wrong with them. */
import { createSecureContext } from 'node:tls'
import { type ConfigFault, caFaults, certificateFaults } from '@oriel/runtime'
import type { ProxyConfig } from '../config.ts'
import type { VncSettings } from './novnc.ts'

type HypervisorConfig = ProxyConfig['hypervisor']
type VncConfig = HypervisorConfig['vnc']

/** @throws the error of `node:tls` for certificates that `vncFaults` would have named */
export function vncSettings({ vnc, hosts }: HypervisorConfig): VncSettings {
  const secure = vnc.auth_schemes.includes('vencrypt')
  const tls = { context: contextOf(vnc), expected: { hosts }, hasCertificate: vnc.cert !== undefined }
  return { schemes: vnc.auth_schemes, ...(secure ? { tls } : {}) }
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
  return [
    ...(ca === undefined ? [] : caFaults('hypervisor.vnc.ca', ca)),
    ...(cert === undefined || key === undefined ? [] : certificateFaults('hypervisor.vnc', { cert, key })),
  ]
}

type Pems = { readonly [Name in 'ca' | 'cert' | 'key']?: VncConfig[Name] | undefined }

function contextOf({ ca, cert, key }: Pems) {
  return createSecureContext({
    // An intermediate CA is trusted without its root: the operator named it.
    ...(ca === undefined ? {} : { ca, allowPartialTrustChain: true }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: key.reveal() }),
    minVersion: 'TLSv1.2',
  })
}
