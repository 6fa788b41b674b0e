/** A picture in memory, such as a copy of a machine's screen. */
export interface Image {
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
  /** Four bytes per pixel, red, green, blue and alpha, row by row from the top. A screen's alpha is 255. */
  readonly rgba: Uint8Array
}
