import type { Framebuffer } from '../../screen/framebuffer.ts'
import type { Rectangle } from '../../screen/image.ts'
import type { Reading } from '../wire/feed.ts'

/** Reads a rectangle of one encoding and draws it. The rectangle is inside the framebuffer. */
export type Decoder = (area: Rectangle, target: Framebuffer) => Reading<void>
