/** What `RunningProxy.reload` takes: certificates and keys, and what legs to SPICE hypervisors are checked with. */
export const reloadableProxyKeys: readonly string[] = [
  ...['cert', 'key', 'min_version', 'ciphers'].map((key) => `listen[].tls.${key}`),
  ...['cert', 'key', 'ca'].map((key) => `spice.tls.${key}`),
  'hypervisor.spice',
]
