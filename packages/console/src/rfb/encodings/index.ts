/** The encodings of pixels that a client may request. A new one is a file and a row here. */
import { copyRect } from './copy-rect.ts'
import type { Decoder } from './decoder.ts'
import { hextile } from './hextile.ts'
import { raw } from './raw.ts'
import { createTight } from './tight.ts'
import { createZrle } from './zrle.ts'

const encodings = {
  tight: { number: 7, create: createTight },
  zrle: { number: 16, create: createZrle },
  hextile: { number: 5, create: () => hextile },
  'copy-rect': { number: 1, create: () => copyRect },
  raw: { number: 0, create: () => raw },
} as const satisfies Record<string, { readonly number: number; readonly create: () => Decoder }>

/** The name of an encoding of pixels. */
export type Encoding = keyof typeof encodings

/** All encodings, the preferred one first. */
export const allEncodings = Object.keys(encodings) as readonly Encoding[]

/** Returns the number of an encoding in RFB. @throws TypeError if there is no encoding with this name */
export function numberOf(name: Encoding): number {
  if (Object.hasOwn(encodings, name)) return encodings[name].number
  throw new TypeError(`There is no encoding ${JSON.stringify(name)}. There are ${allEncodings.join(', ')}.`)
}

/** Creates the decoders of one connection, by their number. */
export const createDecoders = (): ReadonlyMap<number, Decoder> =>
  new Map(Object.values(encodings).map(({ number, create }) => [number, create()]))
