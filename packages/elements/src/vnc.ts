/** `@oriel/elements/vnc`: defines `<oriel-vnc>`. It needs a browser. */
export type * from './common.ts'
export { OrielVnc, type OrielVncEventMap, type Scale } from './oriel-vnc.ts'
export type { Typed, TypeOptions } from './vnc/typist.ts'
