/** Reads the text on a screen. A module of its own, because the reader and its tables of fonts are loaded when they are used. */
import { loadGlyphs, readText } from '@oriel/console'

/** @param picture the screen, pixel by pixel */
export async function textOf({ width, height, data }: ImageData): Promise<string> {
  const rgba = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return String(readText({ width, height, rgba }, await loadGlyphs()))
}
