/**
 * `@oriel/elements/spice`: defines `<oriel-spice>`, which loads the package spice-html5 when it dials. It needs a browser.
 */
import { OrielSpice } from './oriel-spice.ts'
import type { SpiceLibrary } from './spice/session.ts'

export type * from './common.ts'
export { OrielSpice, type OrielSpiceEventMap } from './oriel-spice.ts'

// Here rather than in the element: the pages of the proxy must not bundle the library, which is under the LGPL.
OrielSpice.loadLibrary = () => import('@spice-project/spice-html5') as Promise<SpiceLibrary>
