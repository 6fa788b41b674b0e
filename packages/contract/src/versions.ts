/** The version documents, from which clients learn the supported microversions. */

import type { NewestResponse } from './calls.ts'
import { API_VERSION, BASE_PATH, EARLIEST, LATEST } from './microversions.ts'

type VersionDocument = NewestResponse<'showVersion'>['version']

/** Builds the document at the API's root. `base` is the public URL without a trailing slash. */
export const versionDocument = (base: string): VersionDocument => ({
  ...entry(base),
  links: [...entry(base).links, { rel: 'describedby', type: 'text/html', href: 'http://docs.openstack.org/' }],
  'media-types': [
    { base: 'application/json', type: `application/vnd.openstack.compute+json;version=${API_VERSION.slice(1)}` },
  ],
})

/** Builds the list at `/`, with one version: clients of consoles need no other. */
export const versionList = (base: string) => ({ versions: [entry(base)] })

const entry = (base: string): VersionDocument => ({
  id: API_VERSION,
  status: 'CURRENT',
  version: LATEST,
  min_version: EARLIEST,
  updated: '2013-07-23T11:33:21Z',
  links: [{ rel: 'self', href: `${base}${BASE_PATH}/` }],
})
