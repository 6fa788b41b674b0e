/** A picture in memory, such as a copy of a machine's screen. */
export interface Image {
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
  /** Four bytes per pixel, red, green, blue and alpha, row by row from the top. A screen's alpha is 255. */
  readonly rgba: Uint8Array
}

/** A copy of the screen at one moment. */
export interface Screenshot extends Image {
  /** Encodes the picture as PNG without alpha. */
  png(): Uint8Array
}

/** An area of a screen in pixels, from its top left corner. */
export interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
