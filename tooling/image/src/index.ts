/** Builds the images. */
export { type BuiltImages, buildImages, type ImageOptions } from './build.ts'
