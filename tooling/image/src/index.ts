/** Builds the images, and writes SBOMs. */
export { type BuiltImages, buildImages, type ImageOptions } from './build.ts'
export { cycloneDx, npmComponent, spdx } from './sbom.ts'
export { packFolder } from './tree.ts'
