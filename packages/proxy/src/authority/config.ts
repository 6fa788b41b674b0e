/** Finds faults between the keys of `[authority]`, each of which is valid by itself. */
import { type ConfigFault, caFaults } from '@oriel/runtime'
import type { AuthorityConfig } from '../config.ts'

export const authorityFaults = (config: AuthorityConfig): ConfigFault[] => [
  ...wrongEndpoint(config),
  ...unusableCafile(config),
  ...needlessValidate(config),
]

/** Requires an endpoint: either the key, or a choice from the catalogue that Keystone returns at sign-in. */
function wrongEndpoint({ endpoint, region, interface: face, auth }: AuthorityConfig): ConfigFault[] {
  if (endpoint !== undefined) {
    const choices = Object.entries({ region, interface: face }).filter(([, value]) => value !== undefined)
    const message =
      'selects an endpoint from the catalogue, but authority.endpoint is given as well; remove one of them'
    return choices.map(([key]) => ({ path: `authority.${key}`, message }))
  }
  if (auth.method !== 'none' && auth.method !== 'token') return []
  const why = `authority.auth.method "${auth.method}" has no catalogue to find it in`
  return [{ path: 'authority.endpoint', message: `missing, ${why}; give it, or sign in at Keystone` }]
}

function needlessValidate({ kind, validate }: AuthorityConfig): ConfigFault[] {
  if (kind === 'nova' || validate === undefined) return []
  const message = 'is for kind "nova"; oriel-api itself looks for the console again before each session, leave it out'
  return [{ path: 'authority.validate', message }]
}

const unusableCafile = ({ cafile }: AuthorityConfig): readonly ConfigFault[] =>
  cafile === undefined ? [] : caFaults('authority.cafile', cafile)
