/** The size of the encoding JPEG (21): an image without a length before it, whose segments have to be followed to its end. */
import { PAST_MARKER, type Reading, skip, UnknownSize } from './reading.ts'

const markers = { end: 0xd9, scan: 0xda, temporary: 0x01 } as const
const isRestart = (type: number) => type >= 0xd0 && type <= 0xd7
/** The types of segments that have no length: restarts, start and end of the image. */
const isAlone = (type: number) => (type >= 0xd0 && type <= 0xd9) || type === markers.temporary

export function* jpegImage(): Reading {
  let type = markerType(yield 2)
  while (type !== markers.end) {
    if (!isAlone(type)) yield* segment()
    type = type === markers.scan ? yield* pastScan() : markerType(yield 2)
  }
}

function* segment(): Reading {
  const length = (yield 2).readUInt16BE()
  if (length < 2) throw new UnknownSize('a JPEG segment without its length')
  yield* skip(length - 2)
}

/** Skips the data of a scan, in which 0xff is followed by 0 or a restart. Returns the type of the marker behind it. */
function* pastScan(): Reading<number> {
  for (;;) {
    yield PAST_MARKER
    const type = (yield 1)[0]!
    if (type !== 0 && !isRestart(type)) return type
  }
}

function markerType(bytes: Buffer): number {
  if (bytes[0] !== 0xff) throw new UnknownSize('a JPEG image without a marker')
  return bytes[1]!
}
