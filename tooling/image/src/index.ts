/** Builds the images, and writes bills of materials. */
export { type BuiltImages, buildImages, type ImageOptions } from './build.ts'
export { cycloneDx, npmComponent, spdx } from './sbom.ts'
export { packFolder } from './tree.ts'
