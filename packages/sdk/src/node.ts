/**
 * Reads the settings of OpenStack clients: `clouds.yaml`, `secure.yaml` and `OS_*` variables. For Node, Deno and Bun; the main
 * entry reads no files.
 */
export { explainedFetch } from './node/explained-fetch.ts'
export type { Environment } from './node/folders.ts'
export { type CloudsOptions, fromClouds, fromEnvironment } from './node/settings.ts'
export { type Trust, trustingFetch } from './node/trusting-fetch.ts'
