/** What can be wrong with `[authority]` though each key is right by itself. */
import { type ConfigFault, caFaults } from '@oriel/runtime'
import type { AuthorityConfig } from '../config.ts'

export const authorityFaults = (config: AuthorityConfig): ConfigFault[] => [
  ...wrongEndpoint(config),
  ...unusableCafile(config),
  ...needlessValidate(config),
]

/** The endpoint is given, or chosen from the catalogue that a sign-in brings. */
function wrongEndpoint({ endpoint, region, interface: face, auth }: AuthorityConfig): ConfigFault[] {
  if (endpoint !== undefined) {
    const choices = Object.entries({ region, interface: face }).filter(([, value]) => value !== undefined)
    const message = 'chooses from the catalogue, which authority.endpoint does without; leave one of them out'
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
