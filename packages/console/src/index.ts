/** A headless console of a virtual machine. Needs only what browsers, Node 22, Deno and Bun have. */
export { ProtocolError } from './errors.ts'
export type { KeyStroke } from './keyboard/stroke.ts'
export type { Image } from './screen/image.ts'
