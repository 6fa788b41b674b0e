/** The version documents, by which clients learn which microversions are served. */

import type { NewestResponse } from './calls.ts'
import { API_VERSION, BASE_PATH, EARLIEST, LATEST } from './microversions.ts'

type VersionDocument = NewestResponse<'showVersion'>['version']

/** The document at the API's root. `base` is the public URL without a slash at its end. */
export const versionDocument = (base: string): VersionDocument => ({
  ...entry(base),
  links: [...entry(base).links, { rel: 'describedby', type: 'text/html', href: 'http://docs.openstack.org/' }],
  'media-types': [
    { base: 'application/json', type: `application/vnd.openstack.compute+json;version=${API_VERSION.slice(1)}` },
  ],
})

/** The list at `/`, of one: no client that can ask for a console needs another. */
export const versionList = (base: string) => ({ versions: [entry(base)] })

const entry = (base: string): VersionDocument => ({
  id: API_VERSION,
  status: 'CURRENT',
  version: LATEST,
  min_version: EARLIEST,
  updated: '2013-07-23T11:33:21Z',
  links: [{ rel: 'self', href: `${base}${BASE_PATH}/` }],
})
